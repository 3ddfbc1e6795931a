"""A remote with this repository's own manifests, and clones of a person and of the automation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from release import cli
from release.git import Git
from release.history import Deployed
from release.manifests import (
    AUTOMATION,
    IMAGE_REPOSITORY,
    KUSTOMIZATION,
    author_email,
    deployed,
    excluded,
    with_deployed,
    with_excluded,
)
from release.tags import Tag

from tests.release.clone import EPOCH, Clone, inputs

ROOT = Path(__file__).parents[2]
ROBOT = ("Discord Sky image automation", author_email((ROOT / AUTOMATION).read_text()) or "")
NONE = Deployed("main-0-0000000", "sha256:" + "0" * 64)


def digest_of(tag: str) -> str:
    """A digest for a tag that no registry has to know."""
    number = Tag.parse(tag)
    assert number is not None
    return f"sha256:{number.number:064x}"


@dataclass
class Origin:
    """A bare repository, Ada's clone of it, and the automation's."""

    path: Path
    ada: Clone
    robot: Clone

    @classmethod
    def new(cls, folder: Path) -> Self:
        """Make them, with one commit that deploys nothing yet."""
        folder.mkdir(parents=True, exist_ok=True)
        bare = folder / "origin.git"
        ada = Clone.new(folder / "ada")
        ada.git("config", "user.name", "Ada")
        ada.git("config", "user.email", "ada@example.org")
        ada.git("clone", "--quiet", "--bare", str(ada.path), str(bare))
        ada.git("remote", "add", "origin", str(bare))
        files = {path: (ROOT / path).read_text() for path in (AUTOMATION,)}
        files[KUSTOMIZATION] = with_deployed((ROOT / KUSTOMIZATION).read_text(), NONE)
        files[IMAGE_REPOSITORY] = with_excluded((ROOT / IMAGE_REPOSITORY).read_text(), None)
        ada.commit("The manifests", files | inputs())
        ada.git("push", "--quiet", "--set-upstream", "origin", "main")
        robot = Clone(folder / "robot")
        ada.git("clone", "--quiet", "--branch=main", str(bare), str(robot.path))
        return cls(bare, ada, robot)

    @classmethod
    def of(cls, folder: Path, *, copy_of: Path) -> Self:
        """Copy a repository, as GitHub forks it: history and all, under another address."""
        folder.mkdir(parents=True)
        bare, ada, robot = folder / "origin.git", Clone(folder / "ada"), Clone(folder / "robot")
        Clone(folder).git("clone", "--quiet", "--bare", str(copy_of), str(bare))
        for clone in (ada, robot):
            clone.clock = EPOCH + 100_000
            Clone(folder).git("clone", "--quiet", "--branch=main", str(bare), str(clone.path))
        ada.git("config", "user.name", "Ada")
        ada.git("config", "user.email", "ada@example.org")
        return cls(bare, ada, robot)

    def merge(self, subject: str) -> str:
        """Let Ada merge a change of the bot; return its tag."""
        self.ada.git("pull", "--quiet", "--rebase")
        self.ada.commit(subject, {"bot/cli/main.py": f"# {subject}\n"})
        self.ada.git("push", "--quiet", "origin", "main")
        git = Git(self.ada.path)
        return str(Tag.of(git, git.commit("HEAD")))

    def merge_with_patience(self, subject: str) -> None:
        """Let Ada merge while others push."""
        self.ada.git("pull", "--quiet", "--rebase")
        self.ada.commit(subject, {"bot/cli/main.py": f"# {subject}\n"})
        while Git(self.ada.path).attempt("push", "--quiet", "origin", "main").returncode:
            self.ada.git("pull", "--quiet", "--rebase")

    def bump(self, tag: str) -> str:
        """Let the automation deploy a tag; return its commit."""
        self.robot.git("pull", "--quiet", "--rebase")
        text = (self.robot.path / KUSTOMIZATION).read_text()
        to = Deployed(tag, digest_of(tag))
        commit = self.robot.commit(
            "Deploy the newest image of the bot", {KUSTOMIZATION: with_deployed(text, to)}, ROBOT
        )
        self.robot.git("push", "--quiet", "origin", "main")
        return commit

    def revert(self, commit: str) -> str:
        """Let Ada revert a commit and push."""
        self.ada.git("pull", "--quiet", "--rebase")
        self.ada.git("revert", "--no-edit", commit)
        self.ada.git("push", "--quiet", "origin", "main")
        return self.ada.git("rev-parse", "HEAD")

    def release(self, *arguments: str) -> int:
        """Run a release program in Ada's clone."""
        return cli.main(["-C", str(self.ada.path), *arguments])

    def file(self, path: str) -> str:
        """A file of main, at the remote."""
        return Clone(self.path).git("show", f"main:{path}") + "\n"

    @property
    def deployed(self) -> str | None:
        """The tag that main names."""
        found = deployed(self.file(KUSTOMIZATION))
        return found.tag if found else None

    @property
    def excluded(self) -> list[str]:
        """What main excludes, beside Flux's default."""
        return excluded(self.file(IMAGE_REPOSITORY))[1:]

    @property
    def tip(self) -> str:
        """Main's newest commit at the remote."""
        return Clone(self.path).git("rev-parse", "main")
