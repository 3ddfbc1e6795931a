"""Random histories, written into real Git: the programs read the same from it as from memory."""

import os
import random
import subprocess
from pathlib import Path

import pytest
from release.deployments import deployments
from release.exclusion import Exclusion
from release.first_parent_line import restored
from release.git import Git
from release.git_history import GUARD, history
from release.history import History
from release.manifests import AUTOMATION, IMAGE_REPOSITORY, KUSTOMIZATION, with_excluded

from tests.release.actions import BRANCHES, CODE, FORKS, MISTAKES, PULLS, TAGS, Actions
from tests.release.clone import Clone
from tests.release.model import AUTOMATION as THE_AUTOMATION
from tests.release.model import PERSON, Model
from tests.release.origin import ROBOT, ROOT

SEED = int(os.environ.get("RELEASE_SEED") or int.from_bytes(os.urandom(3)))
WHO = {PERSON: ("Ada", "ada@example.org"), THE_AUTOMATION: ROBOT}
KUSTOMIZE = "images:\n  - name: discordskybot\n    newTag: {tag} # x\n    digest: {digest} # y\n"


def random_model(seed: int) -> Model:
    dice = random.Random(seed)
    model = Model()
    actions = Actions(model)
    everything = CODE + TAGS * 3 + BRANCHES + PULLS * 2 + MISTAKES + FORKS
    for _ in range(90):
        dice.choice(everything)(actions, dice.randrange(64))
    return model


def blob(path: str, text: str) -> str:
    return f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n"


def write(model: Model, repository: Path) -> dict[str, str]:
    """Write the same history by `git fast-import`; return the ids that Git gave its commits.

    A tag names the commit that its image was built from, so that id is put in its place.
    """
    ids: dict[str, str] = {}
    short: dict[str, str] = {}
    marks: dict[str, str] = {}
    command = ["git", "-C", str(repository), "fast-import", "--quiet"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin
        assert program.stdout
        for mark, (name, commit) in enumerate(model.git.commits.items(), 1):
            author = WHO.get(commit.author, GUARD)
            committer = GUARD if commit.by_guard else author
            when = f"{1_750_000_000 + mark} +0000"
            tree = model.git.trees[name]
            tag = tree.deployed.tag[:-7] + short.get(tree.deployed.tag[-7:], tree.deployed.tag[-7:])
            text = KUSTOMIZE.format(tag=tag, digest=tree.deployed.digest)
            parents = [
                f"{'merge' if n else 'from'} {marks[p]}\n" for n, p in enumerate(commit.parents)
            ]
            print(
                f"commit refs/heads/n{mark}\nmark :{mark}\n"
                f"author {author[0]} <{author[1]}> {when}\n"
                f"committer {committer[0]} <{committer[1]}> {when}\n"
                f"data {len(name)}\n{name}\n",
                *parents,
                blob(KUSTOMIZATION, text),
                blob(AUTOMATION, (ROOT / AUTOMATION).read_text()),
                blob("bot/code", f"{sorted(tree.code)}\n"),
                f"get-mark :{mark}\n",
                sep="", end="", file=program.stdin, flush=True,
            )  # fmt: skip
            marks[name] = f":{mark}"
            ids[name] = program.stdout.readline().strip()
            short[name[:7]] = ids[name][:7]
        print(f"reset refs/heads/main\nfrom {marks[model.git.main]}\n", file=program.stdin)
    assert program.returncode == 0
    return ids


@pytest.mark.parametrize("offset", range(36))
def test_git_gives_the_same_history_as_the_model(tmp_path: Path, offset: int) -> None:
    seed = SEED + offset
    print(f"seed {seed}")
    model = random_model(seed)
    repository = Clone.new(tmp_path / "clone")
    ids = write(model, repository.path)
    git = Git(repository.path)

    read = history(git, git.commit("main"))

    expected = model.history
    same(read, expected)
    assert deployments(read)[-1].deployed.digest == model.tree.deployed.digest
    text = with_excluded((ROOT / IMAGE_REPOSITORY).read_text(), Exclusion.of(read).expression)
    assert len(text) < 4096 + 1024
    for before in list(model.turned_over):
        model.restore_the_line()
        same(restored(git, read.tip.id, ids[before]), model.history)


def same(read: History, expected: History) -> None:
    """Compare what Git has with what the model has."""
    assert [c.by_guard for c in read.main] == [c.by_guard for c in expected.main]
    assert read.deployed == expected.deployed
    assert Exclusion.of(read).spans == Exclusion.of(expected).spans
    assert [(s.at, s.before, s.after) for s in read.decisions()] == [
        (s.at, s.before, s.after) for s in expected.decisions()
    ]
