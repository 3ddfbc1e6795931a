"""The hash of everything an image is built from."""

import hashlib

from release.errors import ReleaseError
from release.git import Git

# What the Dockerfile takes: .dockerignore lets nothing through but bot/, and bot/requirements.txt,
# the lock, lies in it. A base image is named by digest in the Dockerfile.
REQUIRED = ("Dockerfile", "bot")
OPTIONAL = (".dockerignore",)
PATHS = (*OPTIONAL, *REQUIRED)
PATHSPECS = tuple(f":(top){path}" for path in PATHS)  # from any folder of the repository

# Renew when images of the old kind must not be found any more.
KIND = b"discord-sky image inputs 1\n"


def entries(git: Git, commit: str) -> bytes:
    """Mode, type, object id and path of each input, as Git's tree objects have them."""
    listed = git.raw("ls-tree", "-z", "--full-tree", commit, "--", *PATHS)
    found = sorted(listed.split(b"\0")[:-1], key=lambda entry: entry.split(b"\t", 1)[1])
    names = {entry.split(b"\t", 1)[1].decode() for entry in found}
    if missing := [path for path in REQUIRED if path not in names]:
        raise ReleaseError(f"commit {commit[:12]} has no {' and no '.join(missing)} to build from")
    return b"\0".join(found)


def input_hash(git: Git, commit: str) -> str:
    """64 hex digits that change exactly when an input's content, name or mode changes.

    Object ids depend on content alone, so neither the clone, the machine nor its clock matters.
    """
    return hashlib.sha256(KIND + entries(git, commit)).hexdigest()


def changing_commit(git: Git, commit: str) -> str:
    """The newest commit of main, up to `commit`, that changed an input."""
    git.require_whole_history()
    return git.text("rev-list", "--first-parent", "-1", commit, "--", *PATHSPECS) or commit


def source_tag(digits: str) -> str:
    """The tag under which the registry keeps the image of these inputs."""
    return f"src-{digits}"
