"""Which images this repository's registry has, as far as it can be asked.

Git also has the deployments of the repository that this one was forked or copied from, whose images
are in another registry, and those of a registry that is gone.
"""

import argparse
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from release.console import annotate
from release.errors import ReleaseError
from release.git import Git
from release.history import Deployed, History
from release.images import add_access
from release.registry import Registry

IMAGE = "discordskybot"
RECORD = "clusters/azure/*.local.env"  # written by the set-up, ignored by Git
SERVER = "ACR_LOGIN_SERVER"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that name the registry."""
    command.add_argument(
        "--repository",
        metavar="HOST/NAME",
        help=f"the registry that is asked whether it has an image (default: ${SERVER}/{IMAGE}, or "
        "the one that set-up has recorded here; without any, Git alone decides)",
    )
    add_access(command)


@dataclass(frozen=True)
class Inventory:
    """What is known of the images that Git names.

    `registry` and `tags` are None where no registry is known, or it cannot be asked; `foreign` are
    main's commits that the remote `upstream` has as well.
    """

    registry: Registry | None
    tags: frozenset[str] | None
    foreign: frozenset[str]

    @classmethod
    def of(cls, git: Git, history: History, options: argparse.Namespace) -> "Inventory":
        """Find the registry by the options, the environment, or what set-up recorded."""
        repository = options.repository or _repository(git)
        registry = (
            Registry(repository, crane=options.crane, insecure=options.insecure)
            if repository
            else None
        )
        foreign = git.text("rev-list", "--remotes=upstream").split()
        if getattr(options, "remote", "") == "upstream":
            foreign = []  # that is the repository which is deployed from
        line = {commit.id for commit in history.main}
        return cls(registry, _tags(registry), frozenset(line.intersection(foreign)))

    def lacks(self, deployed: Deployed, commit: str) -> str | None:
        """Say why an image that `commit` deployed cannot be had here; None if nothing says so."""
        if self.registry is not None and self.tags is not None:
            if deployed.tag not in self.tags or self.registry.digest(deployed.digest) is None:
                return f"not in {self.registry.repository}"
        elif commit in self.foreign:
            return "deployed by the repository behind the remote `upstream`, not here"
        return None


def _tags(registry: Registry | None) -> frozenset[str] | None:
    if registry is None:
        return None
    try:
        return frozenset(registry.tags())
    except ReleaseError as error:
        annotate("warning", "registry", f"{error}. Going by Git alone.")
        return None


def _repository(git: Git) -> str | None:
    """The one registry that the environment or a record of set-up's names."""
    servers = {os.environ.get(SERVER, "")} - {""}
    if not servers and git.text("rev-parse", "--is-bare-repository") == "false":
        for record in Path(git.text("rev-parse", "--show-toplevel")).glob(RECORD):
            pairs = (line.partition("=") for line in record.read_text().splitlines())
            servers |= {"".join(shlex.split(value)) for name, _, value in pairs if name == SERVER}
    return f"{servers.pop()}/{IMAGE}" if len(servers) == 1 else None
