"""One code repository in Gitea: made as an administrator would, and looked at from outside before and after an item."""

import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.cluster.gitea import Gitea, Repository, User

Object = dict[str, Any]
WRITE = ("write:repository", "write:issue", "read:user")
RIGHTS: Mapping[str, str] = {
    "conveyor": "admin",
    "coder": "write",
    "critic": "write",
    "ci-bot": "write",
    "lead": "write",
}
"""The operator; who writes; who reviews and tests; who says whether it is green; a person who may merge."""
PULLS_PER_PAGE = 50
PUSHERS, MERGERS = ("conveyor",), ("conveyor", "lead")
OTHERS = "Other work"
"""Subject of what somebody else has put on main."""
CI_CONTEXT = "ci/test"


@dataclass(frozen=True)
class Accounts:
    """An organization and its users in Gitea, by what they do."""

    owner: str
    users: Mapping[str, User]

    def role_tokens(self) -> dict[str, str]:
        writers = dict.fromkeys(("analyst", "architect", "developer"), self.users["coder"].token)
        return writers | dict.fromkeys(("reviewer", "tester"), self.users["critic"].token)


def accounts(gitea: Gitea) -> Accounts:
    """New ones, with names that nobody else has."""
    token = secrets.token_hex(3)
    gitea.create_organization(f"faults-{token}")
    return Accounts(f"faults-{token}", {name: gitea.create_user(f"{name}-{token}", scopes=WRITE) for name in RIGHTS})


@dataclass(frozen=True)
class Found:
    """What is in Gitea. Movements are those of Git's own log of a branch, which nothing takes back."""

    main: str = ""
    moves: tuple[str, ...] = ()
    """Where main was put, one entry for each time, oldest first."""
    commits: tuple[str, ...] = ()
    """Subjects of what is on main, oldest first."""
    branches: tuple[str, ...] = ()
    pulls: tuple[Object, ...] = ()

    def since(self, before: "Found") -> "Found":
        """What was added. What was there before and no longer is counts as added too: nothing may go."""
        numbers = {pull["number"] for pull in before.pulls}
        return Found(
            main=self.main,
            moves=_added(before.moves, self.moves),
            commits=_added(before.commits, self.commits),
            branches=tuple(sorted(set(self.branches) ^ set(before.branches))),
            pulls=tuple(pull for pull in self.pulls if pull["number"] not in numbers),
        )


def _added(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    return after[len(before) :] if after[: len(before)] == before else after


class Project:
    def __init__(self, gitea: Gitea, accounts: Accounts, name: str) -> None:
        self.gitea, self._users = gitea, accounts.users
        self._green: set[str] = set()
        files = {"README.md": "# For a test\n"}
        self.repository: Repository = gitea.create_repository(accounts.owner, name, files=files)
        for user, permission in RIGHTS.items():
            gitea.add_collaborator(self.repository, self._users[user].name, permission=permission)
        rights = {f"enable_{right}": True for right in ("push", "push_whitelist", "merge_whitelist")}
        who = {"push": PUSHERS, "merge": MERGERS}
        names = {right: [self._users[name].name for name in users] for right, users in who.items()}
        allowed = {f"{right}_whitelist_usernames": users for right, users in names.items()}
        gitea.protect(self.repository, "main", **rights, **allowed)

    def commit(self, files: Mapping[str, str], *, message: str, branch: str, user: str) -> str:
        token = self._users[user].token
        return self.gitea.commit(self.repository, files, message=message, branch=branch, token=token)

    def push_nothing(self, branch: str) -> None:
        """An empty commit, by Git. Raises subprocess.SubprocessError where Gitea does not take it."""
        with tempfile.TemporaryDirectory() as directory:
            self._git_run("clone", "--quiet", "--branch", branch, str(self.gitea.bare(self.repository)), directory)
            who = ("-c", "user.name=coder", "-c", "user.email=coder@example.invalid")
            self._git_run("-C", directory, *who, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
            url = self.repository.clone_url.replace("://", f"://coder:{self._users['coder'].token}@", 1)
            self._git_run("-C", directory, "push", "--quiet", url, f"HEAD:refs/heads/{branch}")

    @staticmethod
    def _git_run(*words: str) -> list[str]:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.splitlines()

    def move_main(self) -> None:
        """Somebody else's work lands."""
        name = secrets.token_hex(4)
        self.commit({f"other/{name}": name}, message=OTHERS, branch="main", user="conveyor")

    def call_green(self, sha: str) -> None:
        """CI says that this commit is good."""
        body = {"context": CI_CONTEXT, "state": "success", "description": "fine"}
        token = self._users["ci-bot"].token
        self.gitea.api("POST", f"{self.repository.path}/statuses/{sha}", token=token, json=body)

    def call_open_heads_green(self) -> None:
        """CI has a look at the branch of every open pull request, in Git: a killed Gitea may tell an old head."""
        heads = dict(line.split() for line in self._git("for-each-ref", "--format=%(refname:short) %(objectname)"))
        for pull in self.gitea.api("GET", f"{self.repository.path}/pulls", state="open", limit="50"):
            sha = heads.get(pull["head"]["ref"], pull["head"]["sha"])
            if sha not in self._green and not self.gitea.api("GET", f"{self.repository.path}/commits/{sha}/statuses"):
                self.call_green(sha)
            self._green.add(sha)

    def approve(self, number: int) -> None:
        head = self._head_of(number)
        body = {"event": "APPROVED", "body": "good", "commit_id": head}
        token = self._users["critic"].token
        self.gitea.api("POST", f"{self.repository.path}/pulls/{number}/reviews", token=token, json=body)

    def merge_by_hand(self, number: int) -> str:
        """As a person does it in the browser; the commit. Raises GiteaError where it is refused."""
        head = self._head_of(number)
        body = {"Do": "fast-forward-only", "head_commit_id": head}
        token = self._users["lead"].token
        self.gitea.api("POST", f"{self.repository.path}/pulls/{number}/merge", token=token, json=body)
        return head

    def head(self, branch: str) -> str:
        return self._answered(f"branches/{branch}", "commit", "id")

    def _head_of(self, number: int) -> str:
        return self._answered(f"pulls/{number}", "head", "sha")

    def _answered(self, path: str, *names: str) -> str:
        """A value of the answer. Raises httpx.ReadError where it lacks it: a killed Gitea answers 200 and null."""
        found = self.gitea.api("GET", f"{self.repository.path}/{path}")
        for name in names:
            found = (found or {}).get(name)
        if found is None:
            raise httpx.ReadError(f"no {' '.join(names)} in the answer")
        return str(found)

    def call_merged(self, number: int, sha: str) -> None:
        """As a person does it in the browser, where the base has the commit and the pull request is still open."""
        body = {"Do": "manually-merged", "MergeCommitID": sha}
        token = self._users["lead"].token
        self.gitea.api("POST", f"{self.repository.path}/pulls/{number}/merge", token=token, json=body)

    def look(self) -> Found:
        listed = self._git("for-each-ref", "--format=%(refname:short)", "refs/heads")
        pulls = self._pulls()
        return Found(
            main=self._git("rev-parse", "refs/heads/main")[0],
            moves=tuple(reversed(self._git("reflog", "show", "--format=%H", "refs/heads/main"))),
            commits=tuple(self._git("log", "--reverse", "--format=%s", "refs/heads/main")),
            branches=tuple(name for name in listed if name != "main"),
            pulls=tuple(pulls),
        )

    def _pulls(self) -> list[Object]:
        found: list[Object] = []
        while len(found) % PULLS_PER_PAGE == 0:
            page = {"page": str(len(found) // PULLS_PER_PAGE + 1), "limit": str(PULLS_PER_PAGE)}
            listed = self.gitea.api("GET", f"{self.repository.path}/pulls", state="all", sort="newest", **page)
            if not listed:
                break
            found += listed
        return found

    def _git(self, *words: str) -> list[str]:
        return self._git_run("-C", str(self.gitea.bare(self.repository)), *words)
