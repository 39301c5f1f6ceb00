"""The forge's repository over git: the token goes into the environment of one process and nowhere else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conveyor.agent.git import REMOTE_SECONDS, Git, GitFailed
from conveyor.agent.settings import ForgeSettings

_REFUSED = ("could not read Username", "Authentication failed", "error: 401", "error: 403")


@dataclass(frozen=True)
class Remote:
    git: Git
    forge: ForgeSettings

    @property
    def url(self) -> str:
        return f"{self.forge.url}/{self.forge.repository}.git"

    def clone(self, branch: str, into: Path) -> None:
        """A bare repository with the branch's whole history and nothing else."""
        options = ["--bare", "--template=", "--single-branch", "--no-tags", f"--branch={branch}"]
        self._run(["clone", "--quiet", *options, "--", self.url, into], f"the branch {branch} cannot be cloned")

    def push(self, repository: Path, branch: str, *, sha: str, found: str) -> None:
        """Move the branch from `found` to its descendant `sha`. Somebody else's move in between is refused."""
        ref = f"refs/heads/{branch}"
        command = [
            "push",
            "--quiet",
            "--no-verify",
            f"--force-with-lease={ref}:{found}",
            "--",
            self.url,
            f"{sha}:{ref}",
        ]
        try:
            self._run([f"--git-dir={repository}", *command], f"the push to {branch} failed")
        except GitFailed as failure:
            now = self._head(branch)
            if now == sha:  # it was applied and the answer got lost
                return
            if now != found:
                at = now or "gone"
                raise GitFailed(f"the branch {branch} moved meanwhile", f"it was {found}, now it is {at}") from None
            raise failure from None

    def _head(self, branch: str) -> str:
        """The branch's commit, empty when there is no such branch."""
        ref = f"refs/heads/{branch}"
        output = self._run(["ls-remote", "--", self.url, ref], f"the branch {branch} cannot be read")
        lines = (line.split("\t") for line in output.decode(errors="replace").splitlines())
        return next((sha for sha, name in lines if name == ref), "")  # a pattern also matches longer names

    def _run(self, arguments: Sequence[str | Path], what: str) -> bytes:
        try:
            return self.git.run(arguments, what, environment=self._credentials(), seconds=REMOTE_SECONDS)
        except GitFailed as failure:
            said = failure.said
        if any(sign in said for sign in _REFUSED):
            raise GitFailed(what, f"the forge does not accept our token for {self.forge.repository}")
        raise GitFailed(what, self._without_secrets(said))

    def _credentials(self) -> dict[str, str]:
        """Gitea takes a token as the password of any user. Bound to the address, so that no other server gets it."""
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.forge.url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {self._basic()}",
        }

    def _basic(self) -> str:
        return b64encode(f"conveyor:{self.forge.token.reveal()}".encode()).decode()

    def _without_secrets(self, said: str) -> str:
        return said.replace(self._basic(), "...").replace(self.forge.token.reveal(), "...")
