"""Finding and tagging images in a real registry; numbers that only grow along main."""

from collections.abc import Callable
from pathlib import Path

import pytest
from release import cli
from release.errors import RegistryError, ReleaseError
from release.git import Git
from release.images import named_after
from release.inputs import input_hash, source_tag
from release.registry import Registry
from release.tags import Tag, check_number

from tests.release.clone import Clone, inputs
from tests.release.origin import Origin

Push = Callable[[str, str], str]
Run = Callable[..., int]


@pytest.fixture
def run(clone: Clone, registry: Registry) -> Run:
    """Run a command on the clone and the registry, as a workflow does."""

    def run_command(command: str, *arguments: str) -> int:
        where = ["--repository", registry.repository, "--insecure", "--crane", registry.crane]
        return cli.main(["-C", str(clone.path), command, *where, *arguments])

    return run_command


def name(clone: Clone, revision: str = "HEAD") -> str:
    git = Git(clone.path)
    return str(Tag.of(git, git.commit(revision)))


def source(clone: Clone) -> str:
    git = Git(clone.path)
    return source_tag(input_hash(git, git.commit("HEAD")))


def test_the_number_counts_commits_on_main_not_those_that_were_merged(clone: Clone) -> None:
    clone.commit("one", inputs())
    clone.git("switch", "--quiet", "-c", "change")
    for version in "23456":
        clone.commit("work", inputs(version))
    clone.git("switch", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "-m", "merge", "change")

    assert name(clone) == f"main-2-{clone.git('rev-parse', 'HEAD')[:7]}"


def test_a_shallow_clone_is_refused_with_the_remedy(
    clone: Clone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("one", inputs())
    clone.commit("two", inputs("2"))
    shallow = tmp_path / "shallow"
    clone.git("clone", "--quiet", "--depth=1", f"file://{clone.path}", str(shallow))

    assert cli.main(["-C", str(shallow), "tag-name"]) == 1

    assert "git fetch --unshallow" in capsys.readouterr().err


def test_find_prints_nothing_until_the_image_is_tagged(
    clone: Clone, registry: Registry, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("inputs", inputs())

    assert run("find") == 0
    assert capsys.readouterr().out == ""

    digest = push("image", "upload")
    assert run("tag", "--digest", digest) == 0
    capsys.readouterr()
    assert run("find") == 0
    assert capsys.readouterr().out == f"{digest}\n"
    assert {source(clone), name(clone)} <= set(registry.tags())


def test_tagging_twice_is_fine_and_says_so(
    clone: Clone, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("inputs", inputs())
    digest = push("image", "upload")
    assert run("tag", "--digest", digest) == 0

    assert run("tag", "--digest", digest) == 0

    assert "nothing to do" in capsys.readouterr().out


def test_the_revert_of_a_merge_gets_a_new_number_on_the_old_digest(
    clone: Clone, registry: Registry, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("one", inputs())
    first = push("one", "upload-1")
    run("tag", "--digest", first)
    clone.commit("two", inputs("2"))
    run("tag", "--digest", push("two", "upload-2"))
    clone.git("revert", "--no-edit", "HEAD")
    capsys.readouterr()

    run("find")
    found = capsys.readouterr().out.strip()
    assert found == first
    assert run("tag", "--digest", found) == 0
    assert registry.digest(name(clone)) == first


def test_a_tag_is_never_moved(
    clone: Clone, registry: Registry, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("inputs", inputs())
    first, second = push("one", "upload-1"), push("two", "upload-2")
    run("tag", "--digest", first)

    assert run("tag", "--digest", second) == 1

    assert f"is on {first} already, and a tag never moves" in capsys.readouterr().err
    assert registry.digest(name(clone)) == first


def test_an_image_that_is_excluded_is_tagged_with_a_warning_and_the_remedy(
    tmp_path: Path,
    registry: Registry,
    push: Push,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a rollback, the workflow is started by hand, or for a new registry.

    Under a new number the image that was rolled back would be deployed once more.
    """
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    origin = Origin.new(tmp_path)
    for subject in ("Greet people", "Greet nobody"):
        tag = origin.merge(subject)
        origin.bump(tag)
    origin.release("rollback", "--last", "--yes")
    origin.ada.git("pull", "--quiet", "--rebase")
    origin.ada.commit("Something else", {"README.md": "hello"})
    digest = push("image", "upload")
    where = ["--repository", registry.repository, "--insecure", "--crane", registry.crane]

    assert origin.release("tag", "--digest", digest, *where) == 0

    output = capsys.readouterr().err
    assert f"::warning title=image::{tag} is excluded" in output
    assert f'make rollback TO={tag} ARGS="--digest {digest}"' in output
    source = source_tag(input_hash(Git(origin.ada.path), "HEAD"))
    assert sorted(registry.tags()) == [tag, source, "upload"]
    assert cli.main(["-C", str(origin.ada.path / "bot"), "tag-name"]) == 0
    assert capsys.readouterr().out.strip() == tag


def test_a_merge_after_a_rollback_gets_a_number_of_its_own(tmp_path: Path) -> None:
    """Its inputs changed, whatever the branch that it merges did before."""
    origin = Origin.new(tmp_path)
    for subject in ("Greet people", "Greet nobody"):
        origin.bump(origin.merge(subject))
    origin.release("rollback", "--last", "--yes")
    origin.ada.git("pull", "--quiet", "--rebase")
    origin.ada.git("switch", "--quiet", "-c", "change", "main~3")
    origin.ada.commit("change", {"bot/new.py": "new\n"})
    origin.ada.git("switch", "--quiet", "main")
    origin.ada.git("merge", "--quiet", "--no-edit", "change")
    git = Git(origin.ada.path)
    merged = git.commit("HEAD")

    assert named_after(git, merged, merged) == merged


def test_of_two_builds_of_the_same_inputs_the_first_wins(
    clone: Clone, registry: Registry, push: Push, run: Run
) -> None:
    """Two merges that ran side by side built the same inputs: both get the one image."""
    clone.commit("inputs", inputs())
    first, second = push("one", "upload-1"), push("two", "upload-2")
    run("tag", "--digest", first)
    clone.commit("same inputs", {"README.md": "hello"})

    assert run("tag", "--first-wins", "--digest", second) == 0

    assert registry.digest(name(clone)) == first


def test_dry_run_writes_nothing(
    clone: Clone, registry: Registry, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("inputs", inputs())
    digest = push("image", "upload")

    assert run("tag", "--dry-run", "--digest", digest) == 0

    assert f"would tag {registry.repository}:{name(clone)}" in capsys.readouterr().out
    assert registry.tags() == ["upload"]


def test_a_digest_that_is_not_there_is_refused(
    clone: Clone, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("inputs", inputs())
    push("image", "upload")

    assert run("tag", "--digest", "sha256:" + "0" * 64) == 1

    assert "push the image first" in capsys.readouterr().err


def test_a_registry_that_does_not_answer_is_not_taken_for_an_empty_one(registry: Registry) -> None:
    nowhere = Registry("127.0.0.1:1/bot", crane=registry.crane, insecure=True)

    with pytest.raises(RegistryError, match="connection refused"):
        nowhere.digest("src-1")


def test_a_missing_crane_is_named_with_the_remedy() -> None:
    with pytest.raises(ReleaseError, match="put crane on PATH"):
        Registry("example.org/bot", crane="no-such-crane").tags()


@pytest.mark.parametrize(
    "wrong",
    ["https://example.org/bot", "example.org/bot:tag", "bot", "example.org/", "a/b@sha256:1"],
)
def test_a_repository_is_a_host_and_a_name(wrong: str) -> None:
    with pytest.raises(ReleaseError, match="is not HOST"):
        Registry(wrong)


def test_a_rewritten_history_whose_number_is_not_above_is_refused_with_the_remedy(
    clone: Clone, push: Push, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    first = clone.commit("one", inputs())
    clone.commit("two", inputs("2"))
    run("tag", "--digest", push("two", "upload-2"))
    lost = name(clone)
    clone.git("reset", "--quiet", "--hard", first)
    clone.commit("two, rewritten", inputs("3"))

    assert run("tag", "--digest", push("three", "upload-3")) == 1

    output = capsys.readouterr().err
    assert f"is not above {lost}" in output
    assert "untag" in output
    clone.commit("three, above the lost one", inputs("3"))
    assert run("tag", "--digest", push("three", "upload-3")) == 0


MAIN = ["a" * 40, "b" * 40, "c" * 40]


def test_a_late_run_may_tag_an_older_commit_of_main() -> None:
    check_number(Tag(2, "b" * 7), ["main-1-aaaaaaa", "main-3-ccccccc", "src-1", "x"], MAIN)


def test_a_late_run_may_not_when_the_higher_tag_is_of_another_history() -> None:
    with pytest.raises(ReleaseError, match="main-2-bbbbbbb is not above main-3-ddddddd"):
        check_number(Tag(2, "b" * 7), ["main-3-ccccccc", "main-3-ddddddd"], MAIN)


def test_a_commit_that_was_pushed_off_main_is_not_tagged() -> None:
    with pytest.raises(ReleaseError, match="is not number 2 of main any more"):
        check_number(Tag(2, "d" * 7), [], MAIN)


def test_a_number_beyond_the_tip_of_main_is_of_another_history() -> None:
    with pytest.raises(ReleaseError, match="is not above main-9-ccccccc"):
        check_number(Tag(3, "c" * 7), ["main-9-ccccccc"], MAIN)
