"""Keep main's first-parent line, where a push has made main the second parent of something else.

`git pull` on a branch that has fallen behind makes such a merge, and so does somebody who merges a
fork's main into the upstream's branch. Pushed as it is, what main recorded is no longer on the
first-parent line, and its numbers fall back. The tip that main had before the push tells the two
lines apart. Merges of that tip with what was pushed, in this order, put the line right: they have
the same files and the same authors, and numbers go on growing.
"""

from collections.abc import Mapping

from release.git import Git
from release.git_history import GUARD, history
from release.history import Commit, History

MESSAGE = """\
Keep main's first-parent line: {subject}

The push of {pushed} made {before}, which was main, the second parent of another line.
This merge has the same files; it makes {before} the first parent again, so that numbers
go on growing and what was rolled back stays on record.
"""


def turned_over(commits: Mapping[str, Commit], line: list[Commit], before: str) -> list[Commit]:
    """What was pushed on top of a merge that made `before` the second parent, oldest first.

    Empty where `before` is on the line, is unknown (a new branch, a force-push), or was brought in
    by the guard's own merge. `commits` come parents first.
    """
    if before not in commits or any(commit.id == before for commit in line):
        return []
    after = {before}
    for commit in commits.values():
        if not after.isdisjoint(commit.parents):
            after.add(commit.id)
    pushed = [commit for commit in line if commit.id in after]
    return [] if pushed[0].by_guard else pushed


def restored(git: Git, tip: str, before: str) -> History:
    """Read the history of `tip`, or of new merges on top of it that continue `before`'s line."""
    now = history(git, tip)
    named = git.attempt(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{before}^{{commit}}"
    )
    before = named.stdout.decode().strip()  # empty where there is no such commit
    pushed = turned_over(now.commits, now.main, before)
    if not pushed:
        return now
    parent = before
    for commit in pushed:
        who = git.text("show", "--no-patch", "--format=%an%n%ae%n%aI", commit.id).split("\n")
        text = MESSAGE.format(subject=commit.subject, pushed=commit.id[:7], before=before[:7])
        author = dict(zip(("AUTHOR_NAME", "AUTHOR_EMAIL", "AUTHOR_DATE"), who, strict=True))
        parent = git.commit_tree(f"{commit.id}^{{tree}}", [parent, commit.id], text, GUARD, author)
    return history(git, parent)
