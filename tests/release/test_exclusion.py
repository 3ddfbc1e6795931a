"""What people said, and what follows from it, one story at a time."""

from release.exclusion import Exclusion
from release.history import Commit, Deployed, History

BOT, ADA = True, False


class Story:
    """Main, told commit by commit; each takes one number."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.deployed = 0

    def commit(self, deployed: int | None = None, *parents: str, machine: bool = ADA) -> str:
        """Commit on the last commit, or on those that are named."""
        if deployed is not None:
            self.deployed = deployed
        name = f"{len(self.commits) + 1:07x}".ljust(40, "0")
        before = parents or ((self.commits[-1].id,) if self.commits else ())
        tag = Deployed(f"main-{self.deployed}-0000000", "sha256:")
        self.commits.append(Commit(name, before, tag, automated=machine))
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


def story() -> Story:
    """Main with images 1 to 5, of which 3 and then 5 were deployed: numbers up to 7 are taken."""
    told = Story()
    told.merges(5)
    told.deploys(3)
    told.deploys(5)
    return told


def test_nothing_is_excluded_while_only_the_automation_deploys() -> None:
    assert story().excluded() == []


def test_a_revert_excludes_everything_up_to_itself() -> None:
    """4 was built and never deployed, 6 and 7 may still arrive."""
    told = story()
    told.commit(3)
    assert told.excluded() == [(4, 8)]


def test_the_automation_that_wins_the_race_is_no_redeploy() -> None:
    told = story()
    told.commit(3)
    told.deploys(5)
    assert told.excluded() == [(4, 8)]
    told.deploys(3)
    assert told.excluded() == [(4, 8)]


def test_a_revert_of_several_bumps_goes_back_to_the_oldest() -> None:
    told = story()
    told.merges(1)
    told.deploys(8)
    told.commit(5)
    told.commit(3)
    assert told.excluded() == [(4, 11)]


def test_the_revert_of_the_revert_lifts_it_wholly() -> None:
    """What had not yet arrived when the bad tag was reverted deploys again too."""
    told = story()
    told.commit(3)
    told.commit(5)
    assert told.excluded() == []


def test_the_revert_of_one_of_two_reverts_lifts_that_one() -> None:
    told = story()
    told.commit(3)
    told.commit(1)
    assert told.excluded() == [(2, 9)]
    told.commit(3)
    assert told.excluded() == [(4, 8)]


def test_a_hand_edit_to_a_tag_between_lifts_up_to_it() -> None:
    told = story()
    told.commit(1)
    told.commit(4)
    assert told.excluded() == [(5, 8)]


def test_a_newer_merge_deploys_and_the_range_is_dropped() -> None:
    told = story()
    told.commit(3)
    told.merges(1)
    told.deploys(9)
    assert told.excluded() == []


def test_a_range_comes_back_when_the_automation_falls_below_it() -> None:
    """The image of the newer merge was deleted by hand: what was reverted stays reverted."""
    told = story()
    told.commit(3)
    told.merges(1)
    told.deploys(9)
    told.deploys(5)
    assert told.excluded() == [(4, 8)]


def test_a_tag_of_another_kind_says_nothing_in_numbers() -> None:
    told = story()
    told.commits.append(
        Commit("f" * 40, (told.commits[-1].id,), Deployed("by-hand", "sha256:"), automated=ADA)
    )
    assert told.excluded() == []
    told.commit(3)
    assert told.excluded() == [(4, 9)]


def test_a_rollback_that_comes_by_a_merge_counts_at_the_merge() -> None:
    told = story()
    base = told.commits[-1].id
    branch = told.commit(3, base)
    told.deployed = 5
    main = told.commit(5, base)
    told.commit(3, main, branch)
    assert told.excluded() == [(4, 9)]


def test_what_a_branch_tried_on_the_way_does_not_count() -> None:
    told = story()
    base = told.commits[-1].id
    tried = told.commit(3, base)
    branch = told.commit(5, tried)
    told.commit(5, base, branch)
    assert told.excluded() == []


def test_a_branch_that_merged_main_before_a_revert_deploys_nothing() -> None:
    """The branch still has the bad tag; merging it leaves main's, and its image is new."""
    told = story()
    branch = told.commit()
    reverted = told.commit(3, told.commits[-2].id)
    told.commit(3, reverted, branch)
    assert told.excluded() == [(4, 8)]


def test_a_pull_that_was_pushed_as_a_merge_hides_no_rollback() -> None:
    """Ada's clone was behind: her line becomes the first parent, the old main the second."""
    told = story()
    behind = told.commits[4].id
    old_main = told.commits[-1].id
    reverted = told.commit(3, old_main)
    guarded = told.commit(3, reverted, machine=BOT)
    hers = told.commit(0, behind)
    told.commit(3, hers, guarded)
    assert told.excluded() == [(4, 8)]


def test_somebody_who_went_back_to_before_the_first_image_is_told_so() -> None:
    told = story()
    told.commit(0)
    history = History(told.commits, told.commits[-1].id)
    assert Exclusion.of(history).leaves_nothing
