"""What people decided, and which numbers that excludes, one timeline at a time."""

from dataclasses import replace

import pytest
from release.exclusion import Exclusion
from release.history import Commit, Deployed, History

BOT, ADA = True, False


def named(number: int, sha: str | None = None) -> Deployed:
    """Name the image of the commit that has this number on a timeline without branches."""
    return Deployed(f"main-{number}-{sha or f'{number:07x}'}", f"sha256:{sha or number}")


class Timeline:
    """Main, commit by commit; each takes one number."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.deployed = 0

    def commit(self, deployed: int | None = None, *parents: str, machine: bool = ADA) -> str:
        """Commit on the last commit, or on those that are named."""
        if deployed is not None:
            self.deployed = deployed
        name = f"{len(self.commits) + 1:07x}".ljust(40, "0")
        before = parents or ((self.commits[-1].id,) if self.commits else ())
        self.commits.append(Commit(name, before, named(self.deployed), automated=machine))
        return name

    def merges(self, count: int) -> None:
        """Merge what has an image and moves no tag."""
        for _ in range(count):
            self.commit()

    def deploys(self, number: int) -> None:
        """Let the automation write a tag."""
        self.commit(number, machine=BOT)

    def excluded(self) -> list[tuple[int, int]]:
        """List what the guard would exclude."""
        history = History(self.commits, self.commits[-1].id)
        return [(span.first, span.last) for span in Exclusion.of(history).spans]


def timeline() -> Timeline:
    """Main with images 1 to 5, of which 3 and then 5 were deployed: numbers up to 7 are taken."""
    line = Timeline()
    line.merges(5)
    line.deploys(3)
    line.deploys(5)
    return line


def test_nothing_is_excluded_while_only_the_automation_deploys() -> None:
    assert timeline().excluded() == []


def test_a_revert_excludes_everything_up_to_itself() -> None:
    """4 was built and never deployed, 6 and 7 may still arrive."""
    line = timeline()
    line.commit(3)
    assert line.excluded() == [(4, 8)]


def test_the_automation_that_wins_the_race_is_no_redeploy() -> None:
    line = timeline()
    line.commit(3)
    line.deploys(5)
    assert line.excluded() == [(4, 8)]
    line.deploys(3)
    assert line.excluded() == [(4, 8)]


def test_a_revert_of_several_bumps_goes_back_to_the_oldest() -> None:
    line = timeline()
    line.merges(1)
    line.deploys(8)
    line.commit(5)
    line.commit(3)
    assert line.excluded() == [(4, 11)]


def test_the_revert_of_the_revert_lifts_it_wholly() -> None:
    """What had not yet arrived when the bad tag was reverted deploys again too."""
    line = timeline()
    line.commit(3)
    line.commit(5)
    assert line.excluded() == []


def test_the_revert_of_one_of_two_reverts_lifts_that_one() -> None:
    line = timeline()
    line.commit(3)
    line.commit(1)
    assert line.excluded() == [(2, 9)]
    line.commit(3)
    assert line.excluded() == [(4, 8)]


def test_a_hand_edit_to_a_tag_between_lifts_up_to_it() -> None:
    line = timeline()
    line.commit(1)
    line.commit(4)
    assert line.excluded() == [(5, 8)]


def test_a_newer_merge_deploys_and_the_range_is_dropped() -> None:
    line = timeline()
    line.commit(3)
    line.merges(1)
    line.deploys(9)
    assert line.excluded() == []


def test_a_range_comes_back_when_the_automation_falls_below_it() -> None:
    """The image of the newer merge was deleted by hand: what was reverted stays reverted."""
    line = timeline()
    line.commit(3)
    line.merges(1)
    line.deploys(9)
    line.deploys(5)
    assert line.excluded() == [(4, 8)]


def test_a_tag_of_another_kind_says_nothing_in_numbers() -> None:
    line = timeline()
    line.commits.append(
        Commit("f" * 40, (line.commits[-1].id,), Deployed("by-hand", "sha256:"), automated=ADA)
    )
    assert line.excluded() == []
    line.commit(3)
    assert line.excluded() == [(4, 9)]


def test_a_rollback_that_comes_by_a_merge_counts_at_the_merge() -> None:
    line = timeline()
    base = line.commits[-1].id
    branch = line.commit(3, base)
    line.deployed = 5
    main = line.commit(5, base)
    line.commit(3, main, branch)
    assert line.excluded() == [(4, 9)]


def test_what_a_branch_tried_on_the_way_does_not_count() -> None:
    line = timeline()
    base = line.commits[-1].id
    tried = line.commit(3, base)
    branch = line.commit(5, tried)
    line.commit(5, base, branch)
    assert line.excluded() == []


def test_a_branch_that_merged_main_before_a_revert_deploys_nothing() -> None:
    """The branch still has the bad tag; merging it leaves main's, and its image is new."""
    line = timeline()
    branch = line.commit()
    reverted = line.commit(3, line.commits[-2].id)
    line.commit(3, reverted, branch)
    assert line.excluded() == [(4, 8)]


def test_a_pull_that_was_pushed_as_a_merge_hides_no_rollback() -> None:
    """Ada's clone was behind, her line becomes the first parent; the guard restores the order."""
    line = timeline()
    behind = line.commits[4].id
    old_main = line.commits[-1].id
    reverted = line.commit(3, old_main)
    guarded = line.commit(3, reverted, machine=BOT)
    hers = line.commit(0, behind)
    pushed = line.commit(3, hers, guarded)
    line.commit(3, guarded, pushed, machine=BOT)
    assert line.excluded() == [(4, 8)]


def fork() -> tuple[Timeline, str, str]:
    """A fork that deployed 3, 6 and 8 and went back to 6, and its upstream, which deployed 12."""
    line = Timeline()
    line.merges(2)
    shared = line.commit()
    line.deploys(3)
    line.commit()
    line.commit()
    line.deploys(6)
    line.commit()
    line.deploys(8)
    ours = line.commit(6)
    assert line.excluded() == [(7, 10)]
    theirs = line.commit(3, shared)
    for _ in range(8):
        theirs = line.commit(3, theirs)
    line.commits.append(Commit("c" * 40, (theirs,), named(12, "c" * 7), automated=BOT))
    line.commits.append(Commit("d" * 40, ("c" * 40,), named(9, "d" * 7), automated=ADA))
    return line, ours, "d" * 40


def test_a_fork_that_merges_its_upstream_and_keeps_its_tag_keeps_its_rollback() -> None:
    line, ours, theirs = fork()
    line.commit(6, ours, theirs)
    assert line.excluded() == [(7, 10)]


def test_of_an_octopus_merge_only_the_first_parent_is_main() -> None:
    line, ours, theirs = fork()
    line.commit(6, ours, theirs, line.commits[2].id)
    assert line.excluded() == [(7, 10)]


@pytest.mark.parametrize("squashed", [False, True])
def test_an_upstream_tag_that_a_merge_took_over_counts_for_nothing(*, squashed: bool) -> None:
    """Its image is in another registry; the fork's next merge, number 12, must deploy."""
    line, ours, theirs = fork()
    merge = Commit("e" * 40, (ours,) if squashed else (ours, theirs), named(9, "d" * 7))
    line.commits.append(merge)
    assert line.excluded() == [(7, 10)]
    line.commit(6, merge.id)
    assert line.excluded() == [(7, 10)]


def test_a_staging_branch_with_its_own_automation_decides_nothing_on_main() -> None:
    line = timeline()
    main = line.commits[-1].id
    staging = line.commit(5, main)
    staging = line.commit(8, staging, machine=BOT)
    staging = line.commit(3, staging)
    line.commit(5, main, staging)
    assert line.excluded() == []


def mistyped(line: Timeline, tag: Deployed) -> None:
    """Let Ada commit a tag that never was an image here."""
    line.commits.append(Commit("f" * 40, (line.commits[-1].id,), tag))


@pytest.mark.parametrize("number", [1004, 6, 4])
def test_a_number_that_never_was_an_image_excludes_nothing(number: int) -> None:
    line = timeline()
    mistyped(line, named(number, "abcdef0"))
    line.commit(5)
    assert line.excluded() == []


def test_a_mistyped_rollback_that_is_corrected_is_the_rollback_that_was_meant() -> None:
    line = timeline()
    mistyped(line, named(1004, "abcdef0"))
    line.commit(3)
    assert line.excluded() == [(4, 9)]


def test_a_mistyped_tag_with_the_right_digest_means_the_image_of_that_digest() -> None:
    """What runs is the digest: the image of number 3, whatever its tag is called."""
    line = timeline()
    mistyped(line, Deployed("main-33-abcdef0", named(3).digest))
    assert line.excluded() == [(4, 8)]


def test_a_mistyped_tag_beside_an_unchanged_digest_changes_nothing() -> None:
    line = timeline()
    mistyped(line, Deployed("main-3-abcdef0", named(5).digest))
    assert line.excluded() == []


def test_a_rebased_main_still_knows_the_images_of_the_commits_that_it_replaced() -> None:
    """Its tags name commits that are gone, and their images are in the registry."""
    line = Timeline()
    for number in (0, 3, 5):
        old = Commit(f"{number:040x}", (), named(number, f"{number}{number}00000"))
        before = tuple(commit.id for commit in line.commits[-1:])
        line.commits.append(replace(old, parents=before, by_automation=number > 0))
    line.commits.append(replace(line.commits[1], id="e" * 40, parents=(line.commits[-1].id,)))
    assert line.excluded() == [(4, 5)]


def test_in_a_copy_without_the_history_the_old_tag_stands_for_no_image() -> None:
    """A repository that was imported in one commit names a tag of the one that it was made from."""
    line = Timeline()
    copied = named(1004, "abcdef0")
    line.commits.append(Commit("1".ljust(40, "0"), (), copied))
    line.merges(1)
    line.deploys(2)
    assert line.excluded() == []
    mistyped(line, copied)
    assert line.excluded() == [(1, 4)]
    assert Exclusion.of(History(line.commits, line.commits[-1].id)).leaves_nothing


def test_somebody_who_went_back_to_before_the_first_image_is_told_so() -> None:
    line = timeline()
    line.commit(0)
    history = History(line.commits, line.commits[-1].id)
    assert Exclusion.of(history).leaves_nothing
