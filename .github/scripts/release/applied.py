"""What Flux applies for the bot, as far as Git has it, and which commits of main changed it.

`settings` are the files of apps/discord-sky that its kustomization.yaml names, directly or by a
component: not a README, not the rules of alerts, not a component that nobody uses. The two lines of
the image are no settings. `elsewhere` is what also reaches the bot and is not undone by a program:
each cluster's manifests, and the components that only some clusters use.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname, join, normpath

from release.git import Git
from release.history import Commit, Deployed
from release.manifests import KUSTOMIZATION, deployed, with_deployed

FOLDER = dirname(KUSTOMIZATION)
CLUSTERS = "clusters"
BASE = f"{CLUSTERS}/production/kustomization-discord-sky.yaml"  # every other cluster patches it
# A cluster's own manifests, without its images, its alerts, and the set-up's programs.
FEEDS = re.compile(
    rf"{CLUSTERS}/(?!azure/)[^/]+/(?!images/|alerts/|kustomization-discord-sky-images\.)"
    r".+\.ya?ml"
)
WORD = re.compile(r"[^\s\"',=\[\]{}]+")
COMMENT = re.compile(r"(?:^|\s)#.*")
NAME = "kustomization.yaml"
AS_THEY_ARE = ("-c", "core.quotePath=false")  # names, whatever alphabet they are in
# Git's own words, and those of GitHub's button.
REVERTS = re.compile(
    r"^This reverts commit ([0-9a-f]{7,40})|^Reverts [\w.-]+/[\w.-]+#[0-9]+", re.MULTILINE
)


@dataclass(frozen=True)
class Files:
    """The paths that one commit has Flux apply, and those that it has some clusters apply."""

    settings: frozenset[str]
    elsewhere: frozenset[str]

    @classmethod
    def of(cls, git: Git, commit: str) -> "Files":
        """Follow the names in each kustomization.yaml, from the bot's own on."""
        listed = git.text(
            *AS_THEY_ARE, "ls-tree", "-r", "--full-tree", commit, "--", FOLDER, CLUSTERS
        )
        blobs = {path: entry.split()[2] for entry, path in _rows(listed)}
        texts = _texts(git, [p for p in blobs if p.endswith(NAME) or FEEDS.fullmatch(p)], blobs)
        settings = set(_reached(FOLDER, texts, blobs))
        elsewhere = {path for path in blobs if FEEDS.fullmatch(path)}
        for cluster in sorted(elsewhere):
            used = settings if cluster == BASE else elsewhere
            for word in _words(texts[cluster]):
                folder = normpath(join(FOLDER, word))
                if folder != FOLDER and folder.startswith(f"{FOLDER}/"):
                    used |= set(_reached(folder, texts, blobs))
        return cls(frozenset(settings), frozenset(elsewhere - settings))


def _rows(listed: str) -> Iterator[tuple[str, str]]:
    for line in listed.split("\n"):
        entry, _, path = line.partition("\t")
        if path:
            yield entry, path


def _texts(git: Git, paths: list[str], blobs: Mapping[str, str]) -> dict[str, str]:
    contents = git.files(blobs[path] for path in paths)
    return {
        p: (text or b"").decode(errors="replace") for p, text in zip(paths, contents, strict=True)
    }


def _words(text: str) -> Iterator[str]:
    """Every word that may be the name of a file; there is no YAML parser in the workflow."""
    for line in text.splitlines():
        yield from WORD.findall(COMMENT.sub("", line))


def _reached(folder: str, texts: Mapping[str, str], blobs: Mapping[str, str]) -> set[str]:
    """Every file that the kustomization.yaml of a folder names, and those that they name."""
    found: set[str] = set()
    todo = [f"{folder}/{NAME}"]
    while todo:
        own = todo.pop()
        if own in found or own not in texts:
            continue
        found.add(own)
        for word in _words(texts[own]):
            path = normpath(join(dirname(own), word))
            if path in blobs and not path.endswith(f"/{NAME}"):
                found.add(path)
            elif not path.endswith(NAME):
                todo.append(f"{path}/{NAME}")
    return found


@dataclass(frozen=True)
class Changed:
    """What one commit of main changed of it."""

    settings: frozenset[str]
    elsewhere: frozenset[str]


def changed(git: Git, commit: Commit) -> Changed:
    """Compare a commit with its first parent."""
    before = commit.parents[0]
    listed = git.text(
        *AS_THEY_ARE, "diff-tree", "-r", "--no-renames", "--name-only", before, commit.id, "--",
        f":(top){FOLDER}", f":(top){CLUSTERS}",
    )  # fmt: skip
    paths = set(listed.split("\n")) - {""}
    if (
        KUSTOMIZATION in paths
        and len({_bare(git, f"{one}:{KUSTOMIZATION}") for one in (before, commit.id)}) == 1
    ):
        paths.discard(KUSTOMIZATION)
    if not paths:
        return Changed(frozenset(), frozenset())
    old, new = (Files.of(git, one) for one in (before, commit.id))
    return Changed((old.settings | new.settings) & paths, (old.elsewhere | new.elsewhere) & paths)


def _bare(git: Git, name: str) -> str | None:
    """A kustomization.yaml without what the two lines of the image say."""
    content = next(git.files([name]))
    if content is None:
        return None
    text = content.decode(errors="replace")
    return with_deployed(text, Deployed("none", "none")) if deployed(text) else text


def brought_back(git: Git, commit: Commit) -> bool:
    """Tell whether a commit went back to settings that main had before, wholly or in part."""
    before = commit.parents[0]
    messages = git.text("log", "--format=%B", f"{before}..{commit.id}")
    for found in REVERTS.finditer(messages):
        if (
            found[1] is None
            or not git.attempt("merge-base", "--is-ancestor", found[1], before).returncode
        ):
            return True
    return all(_was(git, path, commit) for path in changed(git, commit).settings)


def _was(git: Git, path: str, commit: Commit) -> bool:
    """Tell whether main had that very file, or none, at some time before the commit."""
    raw = git.text(
        "-c", "log.showRoot=false", "log", "--first-parent", "-m", "--no-renames", "--raw",
        "--no-abbrev", "--format=", commit.parents[0], "--", f":(top){path}",
    )  # fmt: skip
    versions = {blob for line in raw.split("\n") if line for blob in line.split()[2:4]}
    done = git.attempt("rev-parse", "--verify", "--quiet", f"{commit.id}:{path}")
    own = done.stdout.decode().strip()
    if path != KUSTOMIZATION or not own:
        return (own or "0" * 40) in versions
    there = sorted(blob for blob in versions if blob.strip("0"))
    return _bare(git, own) in {_bare(git, blob) for blob in there}
