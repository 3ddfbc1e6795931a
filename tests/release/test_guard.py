"""The guard in real Git: what it commits, when it does not, and when others push meanwhile."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from release import cli
from release.git_history import GUARD
from release.history import Deployed
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION, with_deployed
from release.publish import Branch

from tests.release.clone import Clone
from tests.release.origin import Origin

Output = pytest.CaptureFixture[str]


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin.new(tmp_path)


@pytest.fixture
def reverted(origin: Origin) -> Origin:
    """Main, where Ada reverted the automation's second bump."""
    for subject in ("Greet people", "Greet nobody"):
        bump = origin.bump(origin.merge(subject))
    origin.revert(bump)
    return origin


def test_it_excludes_what_was_reverted_and_says_who_and_why(reverted: Origin) -> None:
    assert reverted.release("guard") == 0

    assert reverted.excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]
    show = Clone(reverted.path).git("show", "--name-only", "--format=%an <%ae>%n%B", "main")
    assert show.startswith(f"{GUARD[0]} <{GUARD[1]}>\nKeep 3 to 6 out: Ada went back to main-2-")
    line = r"- Ada in [0-9a-f]{7} \(Revert .*\): main-4-\S+ -> main-2-\S+; out: 3 to 6"
    assert re.search(line, show)
    assert show.endswith(f"\n{IMAGE_REPOSITORY}")


def test_a_second_run_has_nothing_to_do_and_commits_nothing(
    reverted: Origin, capsys: Output
) -> None:
    reverted.release("guard")
    tip = reverted.tip

    assert reverted.release("guard") == 0

    assert reverted.tip == tip
    assert "nothing to do" in capsys.readouterr().out


def test_dry_run_shows_and_pushes_nothing(reverted: Origin, capsys: Output) -> None:
    tip = reverted.tip

    assert reverted.release("guard", "--dry-run") == 0

    assert reverted.tip == tip
    assert "+    - '^main-0*(?:[3-6])-[0-9a-f]{7}$'" in capsys.readouterr().out


def test_the_automation_that_won_the_race_changes_nothing(reverted: Origin) -> None:
    bad = Clone(reverted.path).git("rev-parse", "main~1")
    reverted.bump("main-4-" + bad[:7])

    reverted.release("guard")

    assert reverted.excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]


def test_the_revert_of_the_revert_lifts_it(reverted: Origin) -> None:
    rollback = reverted.tip
    reverted.release("guard")

    reverted.revert(rollback)
    reverted.release("guard")

    assert reverted.excluded == []
    message = Clone(reverted.path).git("log", "-1", "--format=%B", "main")
    assert message.startswith("Exclude no image any more")
    assert "^main-0*(?:[3-6])-[0-9a-f]{7}$" in message


def test_a_newer_merge_deploys_and_the_list_is_emptied(reverted: Origin) -> None:
    reverted.release("guard")
    tag = reverted.merge("Greet people again")
    assert not any(re.search(one, tag) for one in reverted.excluded)

    reverted.bump(tag)
    reverted.release("guard")

    assert reverted.excluded == []


def test_a_person_who_picks_the_automations_commit_deploys_it(reverted: Origin) -> None:
    """Its author is the automation, its committer is Ada: she put it there."""
    reverted.release("guard")
    reverted.ada.git("pull", "--quiet", "--rebase")
    bump = reverted.ada.git("log", "--author=automation", "--format=%H", "-1")

    reverted.ada.git("cherry-pick", bump)
    reverted.ada.git("push", "--quiet", "origin", "main")
    reverted.release("guard")

    assert reverted.excluded == []


def test_an_address_that_the_automation_had_before_still_counts_as_its_own(origin: Origin) -> None:
    path = "clusters/production/images/image-update-automation.yaml"
    for subject in ("Greet people", "Greet nobody"):
        bump = origin.bump(origin.merge(subject))
    origin.revert(bump)
    text = (origin.ada.path / path).read_text()
    origin.bump("main-4-" + bump[:7])
    origin.ada.git("pull", "--quiet", "--rebase")
    origin.ada.commit("Rename the robot", {path: text.replace("image-automation@", "robot@")})
    origin.ada.git("push", "--quiet", "origin", "main")

    origin.release("guard")

    assert origin.excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]


def test_a_lost_race_is_computed_again_on_what_won(
    reverted: Origin, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """Ada pushes between the guard's fetch and its push, three times, once a newer merge."""
    push = Branch.push
    pushed: list[str] = []

    def late(branch: Branch, commit: str) -> bool:
        if len(pushed) < 3:
            pushed.append(reverted.merge(f"Merge {len(pushed)}"))
        return push(branch, commit)

    monkeypatch.setattr(Branch, "push", late)

    assert reverted.release("guard") == 0

    assert capsys.readouterr().out.count("has moved on: computing again") == 3
    assert reverted.excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]
    line = Clone(reverted.path).git("log", "--format=%an", "-4", "main").split("\n")
    assert line == [GUARD[0], "Ada", "Ada", "Ada"]


def test_a_branch_that_refuses_is_no_lost_race(reverted: Origin, capsys: Output) -> None:
    hook = reverted.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH013: Repository rule violations found' >&2\nexit 1\n")
    hook.chmod(0o755)

    assert reverted.release("guard") == 1

    assert "could not be pushed to origin" in capsys.readouterr().err


def test_a_shallow_clone_is_refused(reverted: Origin, tmp_path: Path, capsys: Output) -> None:
    shallow = tmp_path / "shallow"
    reverted.ada.git("clone", "--quiet", "--depth=1", f"file://{reverted.path}", str(shallow))

    assert cli.main(["-C", str(shallow), "guard"]) == 1

    assert "fetch-depth: 0" in capsys.readouterr().err


def test_without_the_automations_address_nothing_is_guessed(origin: Origin, capsys: Output) -> None:
    origin.ada.git("rm", "--quiet", "clusters/production/images/image-update-automation.yaml")
    origin.ada.commit("Move it", {})
    origin.ada.git("push", "--quiet", "origin", "main")

    assert origin.release("guard") == 1

    assert "would be taken for a person's" in capsys.readouterr().err


@pytest.fixture
def fork(tmp_path: Path, origin: Origin) -> tuple[Origin, str]:
    """A fork whose second image was rolled back, and what its upstream has deployed since."""
    origin.bump(origin.merge("Greet people"))
    path = tmp_path / "fork"
    fork = Origin.of(path, copy_of=origin.path)
    fork.revert(fork.bump(fork.merge("Greet in the fork")))
    assert fork.release("guard") == 0
    for subject in ("Upstream 1", "Upstream 2", "Upstream 3"):
        bump = origin.bump(origin.merge(subject))
    origin.revert(bump)
    fork.ada.git("pull", "--quiet")
    fork.ada.git("fetch", "--quiet", str(origin.path), "main:upstream")
    return fork, fork.tip


def merge(fork: Origin, *arguments: str) -> None:
    """Merge another branch into the checked-out one; the manifests are kept."""
    files = (KUSTOMIZATION, IMAGE_REPOSITORY)
    ours = {path: fork.ada.git("show", f"main:{path}") + "\n" for path in files}
    fork.ada.git("merge", "--quiet", "--no-commit", "-s", "ours", *arguments)
    fork.ada.commit("Merge", ours | {"upstream.txt": "new\n"})


def test_a_fork_that_merges_its_upstream_changes_nothing(
    fork: tuple[Origin, str], capsys: Output
) -> None:
    """The upstream's automation has the same address; its rollback is its own affair."""
    origin, before = fork
    excluded = origin.excluded
    merge(origin, "upstream")
    origin.ada.git("push", "--quiet", "origin", "main")
    tip = origin.tip

    assert origin.release("guard", "--before", before) == 0

    assert origin.tip == tip
    assert origin.excluded == excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]
    assert "nothing to do" in capsys.readouterr().out


def test_an_upstreams_tag_that_a_merge_took_over_is_warned_of(
    fork: tuple[Origin, str], capsys: Output
) -> None:
    origin, before = fork
    excluded = origin.excluded
    theirs = origin.ada.git("show", f"upstream:{KUSTOMIZATION}") + "\n"
    merge(origin, "upstream")
    origin.ada.write({KUSTOMIZATION: theirs})
    origin.ada.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    origin.ada.git("push", "--quiet", "origin", "main")

    assert origin.release("guard", "--before", before) == 0

    assert origin.excluded == excluded
    assert "the tag of the repository that was merged" in capsys.readouterr().err


@pytest.mark.parametrize("octopus", [False, True])
def test_a_push_that_makes_main_the_second_parent_is_put_right(
    fork: tuple[Origin, str], *, octopus: bool
) -> None:
    """The fork's main was merged into the upstream's branch, and that was pushed as main."""
    origin, before = fork
    excluded = origin.excluded
    others = ["main"]
    if octopus:
        origin.ada.git("switch", "--quiet", "-c", "topic", "main~1")
        origin.ada.commit("Another branch", {"topic.txt": "new\n"})
        others.append("topic")
    origin.ada.git("switch", "--quiet", "upstream")
    merge(origin, *others)
    files = origin.ada.git("rev-parse", "HEAD^{tree}")
    origin.ada.git("push", "--quiet", "origin", "upstream:main")
    pushed = origin.tip

    assert origin.release("guard", "--before", before) == 0

    assert origin.excluded == excluded
    bare = Clone(origin.path)
    assert bare.git("rev-parse", "main^1", "main^2").split() == [before, pushed]
    assert bare.git("rev-parse", "main^{tree}") == files
    tip = origin.tip
    for late in (pushed, before, "0" * 40, ""):  # runs of other pushes, and of the schedule
        assert origin.release("guard", "--before", late) == 0
        assert origin.tip == tip


def test_a_pull_that_was_pushed_as_a_merge_is_put_right_and_the_rollback_excluded(
    reverted: Origin,
) -> None:
    before = reverted.tip
    reverted.ada.git("switch", "--quiet", "-c", "late", "main~3")
    reverted.ada.commit("Done meanwhile", {"late.txt": "new\n"})
    reverted.ada.git("merge", "--quiet", "--no-edit", "main")
    reverted.ada.git("push", "--quiet", "origin", "late:main")

    assert reverted.release("guard", "--before", before) == 0

    assert reverted.excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]


def test_a_force_push_is_not_undone(reverted: Origin) -> None:
    before = reverted.tip
    reverted.ada.git("reset", "--quiet", "--hard", "main~1")
    reverted.ada.git("push", "--quiet", "--force", "origin", "main")
    tip = reverted.tip

    assert reverted.release("guard", "--before", before) == 0

    assert reverted.tip == tip


def test_a_branch_of_any_name_is_guarded_by_its_own_first_parents(reverted: Origin) -> None:
    reverted.ada.git("push", "--quiet", "origin", "main:production")

    assert reverted.release("guard", "--branch", "production") == 0

    text = Clone(reverted.path).git("show", f"production:{IMAGE_REPOSITORY}")
    assert "'^main-0*(?:[3-6])-[0-9a-f]{7}$'" in text
    assert reverted.excluded == []


def test_a_mistyped_tag_is_warned_of_and_excludes_nothing(origin: Origin, capsys: Output) -> None:
    tag = origin.merge("Greet people")
    origin.bump(tag)
    for text in ("main-1004-0a1b2c3", tag):
        origin.ada.git("pull", "--quiet", "--rebase")
        kustomization = (origin.ada.path / KUSTOMIZATION).read_text()
        to = Deployed(text, f"sha256:{hash(text) % 2**256:064x}")
        origin.ada.commit("Deploy", {KUSTOMIZATION: with_deployed(kustomization, to)})
        origin.ada.git("push", "--quiet", "origin", "main")

        assert origin.release("guard") == 0

        assert origin.excluded == []
        assert ("names main-1004-0a1b2c3" in capsys.readouterr().err) is (text != tag)


def test_going_back_to_before_the_first_image_is_warned_of(origin: Origin, capsys: Output) -> None:
    origin.revert(origin.bump(origin.merge("Greet people")))

    assert origin.release("guard") == 0

    assert "went back to before the first image" in capsys.readouterr().err


def test_the_working_tree_and_the_index_are_not_touched(reverted: Origin) -> None:
    reverted.ada.write({"bot/cli/main.py": "half done\n", "new.txt": "new\n"})
    reverted.ada.git("add", "new.txt")
    before = reverted.ada.git("status", "--porcelain"), reverted.ada.git("rev-parse", "HEAD")

    reverted.release("guard")

    after = reverted.ada.git("status", "--porcelain"), reverted.ada.git("rev-parse", "HEAD")
    assert after == before


def test_guards_and_merges_at_the_same_time_all_get_through(
    reverted: Origin, tmp_path: Path
) -> None:
    """Three guards in their own clones while Ada merges: nothing is lost, nothing doubled."""
    clones = [tmp_path / f"guard-{n}" for n in range(3)]
    for path in clones:
        reverted.ada.git("clone", "--quiet", str(reverted.path), str(path))

    with ThreadPoolExecutor() as pool:
        guards = [pool.submit(cli.main, ["-C", str(path), "guard"]) for path in clones]
        for merge in range(3):
            reverted.merge_with_patience(f"Merge {merge}")
        codes = [guard.result() for guard in guards]

    assert codes == [0, 0, 0]
    assert reverted.release("guard") == 0
    assert reverted.excluded == ["^main-0*(?:[3-6])-[0-9a-f]{7}$"]
    authors = Clone(reverted.path).git("log", "--format=%an", "main").split("\n")
    assert authors.count(GUARD[0]) == 1
    assert authors.count("Ada") == 3 + 4
