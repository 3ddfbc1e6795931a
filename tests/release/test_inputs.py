"""The hash of an image's inputs: one for the same inputs, another for any other."""

import shutil
from pathlib import Path

import pytest
from release.errors import ReleaseError
from release.git import Git
from release.inputs import input_hash

from tests.release.clone import EPOCH, Clone, inputs


def hash_of(clone: Clone) -> str:
    git = Git(clone.path)
    return input_hash(git, git.commit("HEAD"))


def test_same_inputs_have_one_hash_in_another_clone_at_another_time(tmp_path: Path) -> None:
    """Other commits, other clock, other order, other unrelated files: the same 64 digits."""
    one, two = Clone.new(tmp_path / "one"), Clone.new(tmp_path / "two")
    two.clock = EPOCH + 10**8

    one.commit("all at once", inputs())
    two.commit("something else first", {"README.md": "hello"})
    two.commit("then another version", inputs("0"))
    two.commit("then this one", inputs())

    assert hash_of(one) == hash_of(two)
    assert len(hash_of(one)) == 64
    assert int(hash_of(one), 16)


def test_a_clone_of_a_clone_has_the_same_hash(clone: Clone, tmp_path: Path) -> None:
    clone.commit("inputs", inputs())
    copy = tmp_path / "copy"

    clone.git("clone", "--quiet", "--depth=1", f"file://{clone.path}", str(copy))

    assert hash_of(Clone(copy)) == hash_of(clone)


@pytest.mark.parametrize("name", sorted(inputs()))
def test_changing_any_input_changes_the_hash(clone: Clone, name: str) -> None:
    clone.commit("inputs", inputs())
    before = hash_of(clone)

    clone.commit("change one", {name: inputs()[name] + "# more\n"})

    assert hash_of(clone) != before


@pytest.mark.parametrize("change", ["mode", "name", "new file", "deleted"])
def test_mode_name_and_presence_count(clone: Clone, change: str) -> None:
    clone.commit("inputs", inputs())
    before = hash_of(clone)
    file = clone.path / "bot/cli/main.py"

    match change:
        case "mode":
            file.chmod(0o755)
        case "name":
            shutil.move(file, file.with_name("renamed.py"))
        case "new file":
            (clone.path / "bot/new.py").touch()
        case _:
            file.unlink()
    clone.commit(change, {})

    assert hash_of(clone) != before


@pytest.mark.parametrize(
    "name",
    ["README.md", "apps/discord-sky/kustomization.yaml", "clusters/x.yaml", "tests/bot/t.py"],
)
def test_what_the_image_does_not_hold_does_not_count(clone: Clone, name: str) -> None:
    clone.commit("inputs", inputs())
    before = hash_of(clone)

    clone.commit("something else", {name: "changed\n"})

    assert hash_of(clone) == before


def test_reverting_a_merge_gives_the_earlier_hash(clone: Clone) -> None:
    """This is what makes a rollback find its image instead of building it."""
    clone.commit("inputs", inputs())
    before = hash_of(clone)
    clone.git("switch", "--quiet", "-c", "change")
    clone.commit("change", inputs("2"))
    clone.git("switch", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "-m", "merge", "change")
    assert hash_of(clone) != before

    clone.git("revert", "--no-edit", "-m1", "HEAD")

    assert hash_of(clone) == before


def test_the_working_tree_does_not_count(clone: Clone) -> None:
    clone.commit("inputs", inputs())
    before = hash_of(clone)

    clone.write(inputs("not committed"))

    assert hash_of(clone) == before


def test_a_commit_without_inputs_is_refused_by_name(clone: Clone) -> None:
    clone.commit("nothing to build", {"README.md": "hello"})

    with pytest.raises(ReleaseError, match="has no Dockerfile and no bot to build from"):
        hash_of(clone)
