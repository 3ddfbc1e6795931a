"""Random histories, written into real Git: the programs read the same from it as from memory."""

import os
import random
from pathlib import Path

import pytest
from release.exclusion import Exclusion
from release.git import Git
from release.history import Deployed
from release.manifests import AUTOMATION, IMAGE_REPOSITORY, KUSTOMIZATION, with_excluded
from release.reading import GUARD, history
from release.record import deployments

from tests.release.clone import Clone
from tests.release.origin import ROBOT, ROOT
from tests.release.people import BRANCHES, CODE, PULLS, TAGS, People
from tests.release.world import AUTOMATION as THE_AUTOMATION
from tests.release.world import PERSON, World

SEED = int(os.environ.get("RELEASE_SEED") or int.from_bytes(os.urandom(3)))
WHO = {PERSON: ("Ada", "ada@example.org"), THE_AUTOMATION: ROBOT}
KUSTOMIZE = "images:\n  - name: discordskybot\n    newTag: {tag} # x\n    digest: {digest} # y\n"


def random_world(seed: int) -> World:
    dice = random.Random(seed)
    world = World()
    people = People(world)
    for _ in range(90):
        dice.choice(CODE + TAGS * 3 + BRANCHES + PULLS * 2)(people, dice.randrange(64))
    return world


def blob(path: str, text: str) -> str:
    return f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n"


def fast_import(world: World) -> str:
    """Tell `git fast-import` the same history, commit by commit."""
    marks = {name: mark for mark, name in enumerate(world.git.commits, 1)}
    stream = []
    for name, commit in world.git.commits.items():
        who = WHO.get(commit.author, GUARD)
        signature = f"{who[0]} <{who[1]}> {1_750_000_000 + marks[name]} +0000"
        tree = world.git.trees[name]
        stream.append(f"commit refs/heads/n{marks[name]}\nmark :{marks[name]}\n")
        stream.append(f"author {signature}\ncommitter {signature}\ndata {len(name)}\n{name}\n")
        for n, parent in enumerate(commit.parents):
            stream.append(f"{'merge' if n else 'from'} :{marks[parent]}\n")
        stream.append(blob(KUSTOMIZATION, KUSTOMIZE.format(**vars(tree.deployed))))
        stream.append(blob(AUTOMATION, (ROOT / AUTOMATION).read_text()))
        stream.append(blob("bot/code", f"{sorted(tree.code)}\n"))
    stream.append(f"reset refs/heads/main\nfrom :{marks[world.git.main]}\n\n")
    return "".join(stream)


@pytest.mark.parametrize("offset", range(36))
def test_git_tells_what_memory_tells(tmp_path: Path, offset: int) -> None:
    seed = SEED + offset
    print(f"seed {seed}")
    world = random_world(seed)
    repository = Clone.new(tmp_path / "clone")
    git = Git(repository.path)
    git.raw("fast-import", "--quiet", stdin=fast_import(world).encode())

    read = history(git, git.commit("main"))

    expected = world.history
    assert [c.subject for c in read.main] == [c.id for c in expected.main]
    assert read.deployed == expected.deployed
    assert Exclusion.of(read).spans == Exclusion.of(expected).spans
    assert [(s.at, s.before, s.after) for s in read.statements()] == [
        (s.at, s.before, s.after) for s in expected.statements()
    ]
    assert deployments(read)[-1].deployed == Deployed(**vars(world.tree.deployed))
    text = with_excluded((ROOT / IMAGE_REPOSITORY).read_text(), Exclusion.of(read).expression)
    assert len(text) < 4096 + 1024
