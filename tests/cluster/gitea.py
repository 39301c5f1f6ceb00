"""A real Gitea on SQLite, on a free port of 127.0.0.1, and the little of its API that fixtures and demo need."""

import base64
import getpass
import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.cluster import binaries
from tests.cluster.processes import Server, ServerFailedError, free_ports

OPERATOR_SCOPES = ("write:repository", "write:issue", "read:user")
_CONFIGURATION = """\
RUN_MODE = prod
RUN_USER = {user}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = {is_root}
WORK_PATH = {directory}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = {url}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {directory}/gitea.db
SQLITE_JOURNAL_MODE = WAL
[security]
INSTALL_LOCK = true
SECRET_KEY = {secret_key}
INTERNAL_TOKEN = {internal_token}
# weak on purpose: the passwords live as long as the directory
PASSWORD_HASH_ALGO = pbkdf2$1000$50
[oauth2]
JWT_SECRET = {jwt_secret}
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = *
[repository]
DEFAULT_BRANCH = main
[actions]
ENABLED = false
[cron]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[log]
LEVEL = Warn
"""


class GiteaError(Exception):
    """Gitea refused; `code` is the HTTP status."""

    def __init__(self, method: str, path: str, answer: httpx.Response) -> None:
        self.code = answer.status_code
        super().__init__(f"{method} {path}: {answer.status_code}: {answer.text[:500]}")


@dataclass(frozen=True)
class User:
    name: str
    password: str
    token: str


@dataclass(frozen=True)
class Repository:
    """`head_sha` is the first commit; None for an empty repository."""

    owner: str
    name: str
    clone_url: str
    head_sha: str | None

    @property
    def path(self) -> str:
        return f"/repos/{self.owner}/{self.name}"


class Gitea:
    """`with Gitea(directory) as gitea`; all is in `directory`, which the caller removes. Calls raise GiteaError."""

    def __init__(self, directory: Path, *, say: binaries.Say = print) -> None:
        self._directory, self._say = directory, say
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self._admin: User | None = None
        self._server: Server | None = None
        self._command: Sequence[str] = ()
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30)

    @property
    def admin(self) -> User:
        """Its token has all scopes. For fixtures alone: what is tested gets users of its own."""
        if self._admin is None:
            raise ServerFailedError("Gitea has not been started")
        return self._admin

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._http.close()

    def start(self) -> None:
        """Build what is missing, start, and return when the API answers. After `stop` or `kill`: the same one again."""
        if self._server is None:
            self._server = self._prepare()
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def flush(self) -> None:
        """Return when its queues are empty: what is left in them it goes on with after the next start."""
        self._run(self._command, "manager", "flush-queues", "--timeout", "60s")

    def bare(self, repository: Repository) -> Path:
        """Where Gitea itself keeps a repository, for what no request can do."""
        return self.repositories / repository.owner.lower() / f"{repository.name.lower()}.git"

    @property
    def repositories(self) -> Path:
        return self._directory / "data" / "gitea-repositories"

    def kill(self) -> None:
        """SIGKILL; it stays away until `start`."""
        if self._server is not None:
            self._server.kill()

    def api(self, method: str, path: str, *, token: str | None = None, json: object = None, **params: str) -> Any:
        """`path` below /api/v1; the administrator's token unless another is given. An empty answer is None."""
        headers = {"Authorization": f"token {token or self.admin.token}"}
        answer = self._http.request(method, path, headers=headers, json=json, params=params)
        if answer.status_code >= 400:
            raise GiteaError(method, path, answer)
        return answer.json() if answer.content else None

    def create_user(self, name: str, *, scopes: Sequence[str] = OPERATOR_SCOPES) -> User:
        password = secrets.token_urlsafe(12)
        mail = f"{name}@example.invalid"
        body = {"username": name, "email": mail, "password": password, "must_change_password": False}
        self.api("POST", "/admin/users", json=body)
        return User(name, password, self.create_token(name, password, scopes=scopes))

    def create_token(self, user: str, password: str, *, scopes: Sequence[str]) -> str:
        """Gitea gives tokens to a password only, never to a token."""
        body = {"name": secrets.token_hex(6), "scopes": list(scopes)}
        path = f"/users/{user}/tokens"
        answer = self._http.post(path, json=body, auth=(user, password))
        if answer.status_code >= 400:
            raise GiteaError("POST", path, answer)
        return str(answer.json()["sha1"])

    def create_organization(self, name: str) -> None:
        self.api("POST", "/orgs", json={"username": name, "visibility": "private"})

    def create_repository(
        self, owner: str, name: str, *, files: Mapping[str, str] | None = None, **options: object
    ) -> Repository:
        """A private repository of a user or organization with one commit of `files` on `main` (none: empty).

        Merges by fast-forward, updates by rebase and marking as merged by hand are on; `options` are those of
        Gitea's EditRepoOption and win.
        """
        place = f"/orgs/{owner}/repos" if self._is_organization(owner) else f"/admin/users/{owner}/repos"
        made = self.api("POST", place, json={"name": name, "private": True, "default_branch": "main"})
        repository = Repository(owner, name, made["clone_url"], None)
        self._drop_update_hook(repository)
        allowed = ("allow_fast_forward_only_merge", "allow_rebase_update", "allow_manual_merge", "has_pull_requests")
        self.api("PATCH", repository.path, json=dict.fromkeys(allowed, True) | options)
        if not files:
            return repository
        return Repository(owner, name, made["clone_url"], self.commit(repository, files, message="Begin"))

    def commit(
        self,
        repository: Repository,
        files: Mapping[str, str],
        *,
        message: str,
        branch: str = "main",
        new: str = "",
        token: str | None = None,
    ) -> str:
        """One commit that writes these files on `branch`, or on a `new` branch from there; returns its SHA."""
        changes = [
            {"operation": "upload", "path": path, "content": base64.b64encode(text.encode()).decode()}
            for path, text in files.items()
        ]
        body = {"branch": branch, "message": message, "files": changes} | ({"new_branch": new} if new else {})
        return str(self.api("POST", f"{repository.path}/contents", token=token, json=body)["commit"]["sha"])

    def add_collaborator(self, repository: Repository, user: str, *, permission: str = "write") -> None:
        """`permission`: read, write or admin."""
        self.api("PUT", f"{repository.path}/collaborators/{user}", json={"permission": permission})

    def protect(self, repository: Repository, branch: str = "main", **rule: object) -> None:
        """Nobody pushes to the branch; `rule` holds more of Gitea's CreateBranchProtectionOption."""
        body = {"rule_name": branch, "enable_push": False} | rule
        self.api("POST", f"{repository.path}/branch_protections", json=body)

    def create_hook(self, repository: Repository, *, url: str, secret: str, events: Sequence[str]) -> int:
        """A webhook to any address, this host's included; returns its id.

        What was pushed just before may still be sent to it: Gitea queues events and looks for hooks later.
        """
        config = {"url": url, "content_type": "json", "secret": secret}
        body = {"type": "gitea", "active": True, "config": config, "events": list(events)}
        return int(self.api("POST", f"{repository.path}/hooks", json=body)["id"])

    def _drop_update_hook(self, repository: Repository) -> None:
        """Each push starts Gitea three times over, as hooks. This one does nothing but keep refs/pull/ from pushes."""
        (self.bare(repository) / "hooks" / "update.d" / "gitea").unlink()

    def _is_organization(self, name: str) -> bool:
        try:
            self.api("GET", f"/orgs/{name}")
        except GiteaError as error:
            if error.code == 404:
                return False
            raise
        return True

    def _prepare(self) -> Server:
        program = binaries.ensure(["gitea"], self._say)["gitea"]
        self._directory.mkdir(parents=True, exist_ok=True)
        configuration = self._directory / "app.ini"
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration())
        command = self._command = [str(program), "--work-path", str(self._directory), "--config", str(configuration)]
        self._run(command, "migrate")
        self._admin = self._create_admin(command)
        return Server(
            "gitea", [*command, "web"], log=self._directory / "gitea.log", env=self._environment(), ready=self._is_ready
        )

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            user=getpass.getuser(),
            is_root=str(os.geteuid() == 0).lower(),
            directory=self._directory,
            port=self._port,
            url=self.url,
            static=binaries.gitea_static_root(self._say),
            secret_key=secrets.token_urlsafe(48),
            internal_token=secrets.token_urlsafe(48),
            jwt_secret=secrets.token_urlsafe(32),
        )

    def _create_admin(self, command: Sequence[str]) -> User:
        name, user = "admin-of-tests", ("admin", "user")
        given = ("--username", name, "--email", f"{name}@example.invalid", "--random-password")
        said = self._run(command, *user, "create", "--admin", "--must-change-password=false", *given)
        asked = ("--username", name, "--token-name", "all", "--scopes", "all", "--raw")
        return User(name, password_in(said), token_in(self._run(command, *user, "generate-access-token", *asked)))

    def _run(self, command: Sequence[str], *arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], env=self._environment(), capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode != 0:
            raise ServerFailedError(f"gitea {arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """Its HOME is its own, so that nobody's Git configuration has a say.

        As a hook of a push it spends a fifth of its time on collecting garbage.
        """
        own = {"PATH": os.environ["PATH"], "HOME": str(self._directory), "USER": getpass.getuser()}
        return own | {"GOGC": "400"}

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/version").status_code == 200
        except httpx.TransportError:
            return False


def password_in(said: str) -> str:
    if found := re.search(r"password is '(.+)'", said):
        return found[1]
    raise ServerFailedError("gitea did not say the administrator's password")


def token_in(said: str) -> str:
    """Gitea logs to standard output too, from a thread of its own: on a busy machine behind the token."""
    if found := re.search(r"^[0-9a-f]{40}$", said, re.MULTILINE):
        return found[0]
    raise ServerFailedError("gitea did not say the administrator's token")
