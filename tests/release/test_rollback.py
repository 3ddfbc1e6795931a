"""The commands for people: rollback, releases, retain."""

import io
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from release.git import Git
from release.history import Deployed
from release.inputs import input_hash, source_tag
from release.manifests import KUSTOMIZATION, with_deployed
from release.publish import Branch
from release.registry import Registry

from tests.release.clone import Clone
from tests.release.origin import ROOT, Origin, digest_of
from tests.tools import tool

Output = pytest.CaptureFixture[str]


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """Main with three deployments; the guard never runs here."""
    origin = Origin.new(tmp_path)
    for subject in ("Greet people", "Greet nobody", "Greet twice"):
        origin.bump(origin.merge(subject))
    origin.ada.git("pull", "--quiet", "--rebase")
    return origin


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person does, in this repository."""
    command = ["make", "--no-print-directory", "--assume-old=setup", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def tag_of(origin: Origin, number: int) -> str:
    line = origin.ada.git("rev-list", "--first-parent", "--reverse", "origin/main").split()
    return f"main-{number}-{line[number - 1][:7]}"


def test_the_older_tag_and_the_exclusion_are_one_commit(origin: Origin, capsys: Output) -> None:
    before = origin.tip
    earlier = tag_of(origin, 2)

    assert origin.release("rollback", earlier, "--yes") == 0

    assert origin.deployed == earlier
    assert origin.excluded == ["^main-0*(?:[3-8])-[0-9a-f]{7}$"]
    assert Clone(origin.path).git("rev-parse", "main~1") == before
    output = capsys.readouterr().out
    assert f"+    newTag: {earlier}" in output
    assert "Ada <ada@example.org>" in output


def test_the_guard_finds_nothing_left_to_do(origin: Origin, capsys: Output) -> None:
    origin.release("rollback", "--last", "--yes")

    origin.release("guard")

    assert "nothing to do" in capsys.readouterr().out


def test_last_goes_one_deployment_back_each_time(origin: Origin) -> None:
    origin.release("rollback", "--last", "--yes")
    assert origin.deployed == tag_of(origin, 4)

    origin.release("rollback", "--last", "--yes")
    assert origin.deployed == tag_of(origin, 2)

    assert origin.release("rollback", "--last", "--yes") == 1


def test_a_newer_tag_is_deployed_again(origin: Origin) -> None:
    newest = tag_of(origin, 6)
    origin.release("rollback", tag_of(origin, 2), "--yes")

    assert origin.release("rollback", newest, "--yes") == 0

    assert origin.deployed == newest
    assert origin.excluded == []


def test_it_says_what_the_next_merge_will_carry(origin: Origin, capsys: Output) -> None:
    origin.release("rollback", tag_of(origin, 2), "--yes")

    output = capsys.readouterr().out
    assert "so carries this again" in output
    assert "Greet nobody" in output
    assert "Greet twice" in output
    assert "Greet people" not in output


def test_once_the_code_is_reverted_the_next_merge_carries_nothing(
    origin: Origin, capsys: Output
) -> None:
    for subject in ("Greet twice", "Greet nobody"):
        origin.revert(origin.ada.git("log", "--format=%H", f"--grep=^{subject}", "-1"))

    origin.release("rollback", tag_of(origin, 2), "--dry-run")

    assert "nothing to revert before a merge" in capsys.readouterr().out


def test_without_a_yes_nothing_is_pushed(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    tip = origin.tip
    monkeypatch.setattr("sys.stdin", person := io.StringIO("n\n"))
    monkeypatch.setattr(person, "isatty", lambda: True)

    assert origin.release("rollback", "--last") == 1

    assert origin.tip == tip
    output = capsys.readouterr().out
    assert (
        output.index("newTag")
        < output.index("Push this to main?")
        < output.index("nothing was pushed")
    )


def test_with_nobody_to_ask_nothing_is_pushed(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    tip = origin.tip
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert origin.release("rollback", "--last") == 1

    assert origin.tip == tip
    assert "push with --yes" in capsys.readouterr().err


def test_a_push_in_between_is_taken_in(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    push = Branch.push
    merged: list[str] = []

    def late(branch: Branch, commit: str) -> bool:
        if not merged:
            merged.append(origin.merge("Meanwhile"))
        return push(branch, commit)

    monkeypatch.setattr(Branch, "push", late)

    assert origin.release("rollback", "--last", "--yes") == 0

    assert origin.excluded == ["^main-0*(?:[5-9])-[0-9a-f]{7}$"]


@pytest.mark.parametrize(
    ("tag", "output"),
    [
        ("latest", "is not main-<n>-<sha7>"),
        ("main-3-0a1b2c3", "was never deployed"),
        ("main-6-", "is not main-<n>-<sha7>"),
    ],
)
def test_a_tag_that_git_does_not_know_is_refused(
    origin: Origin, capsys: Output, tag: str, output: str
) -> None:
    assert origin.release("rollback", tag, "--yes") == 1

    assert output in capsys.readouterr().err


def test_the_remedy_for_a_digest_that_is_not_known_can_be_typed(
    origin: Origin, capsys: Output
) -> None:
    tag = tag_of(origin, 3)
    origin.release("rollback", tag, "--yes")
    output = capsys.readouterr().err
    assert f"crane digest REGISTRY/discordskybot:{tag}" in output
    found = re.search(r"make (rollback TO=\S+ ARGS=\"--digest sha256:…\")", output)
    assert found
    line = shlex.split(found[1].replace("…", "a" * 64))

    done = make(*line, "RELEASE=echo")

    assert done.stdout.split() == ["rollback", tag, "--digest", "sha256:" + "a" * 64]


def test_make_rollback_says_that_to_is_missing() -> None:
    done = make("rollback", "RELEASE=echo", "TO=", "ARGS=--dry-run")

    assert done.returncode != 0
    assert done.stdout == ""
    assert "TO is missing: make rollback TO=main-12-abc1234" in done.stderr
    assert "or TO=--last" in done.stderr


def test_a_tag_that_was_never_deployed_needs_its_digest(origin: Origin) -> None:
    digest = "sha256:" + "a" * 64

    assert origin.release("rollback", tag_of(origin, 3), "--digest", digest, "--yes") == 0

    assert digest in origin.file("apps/discord-sky/kustomization.yaml")


@pytest.mark.parametrize("tag", ["main-1004-0a1b2c3", "main-3-0a1b2c3"])
def test_a_tag_that_can_be_no_image_of_this_branch_is_refused(
    origin: Origin, capsys: Output, tag: str
) -> None:
    """It would exclude nothing, and the automation would write over it."""
    tip = origin.tip

    assert origin.release("rollback", tag, "--digest", "sha256:" + "a" * 64, "--yes") == 1

    assert origin.tip == tip
    assert f"{tag} names no commit of this branch" in capsys.readouterr().err


def test_releases_tells_when_what_who_and_what_is_excluded(origin: Origin, capsys: Output) -> None:
    origin.release("rollback", tag_of(origin, 2), "--yes")
    capsys.readouterr()
    origin.ada.git("pull", "--quiet")

    assert origin.release("releases") == 0

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["when", "tag", "digest", "commit", "by", "carries"]
    assert [row.split()[2] for row in rows[:4]] == [tag_of(origin, n) for n in (2, 6, 4, 2)]
    assert "Ada" in rows[0]
    assert rows[0].endswith("deployed now")
    assert rows[1].endswith("excluded")
    assert "automation" in rows[1]
    assert "Greet twice" in rows[1]
    assert rows[3].split("  ")[-1].strip() == "Greet people"
    assert rows[-1].startswith("excluded: numbers 3 to 8; Ada went back from main-6-")


def test_before_the_first_image_nothing_is_deployed(tmp_path: Path, capsys: Output) -> None:
    """What a fresh main names is no release: nothing runs, and nothing can be gone back to."""
    fresh = Origin.new(tmp_path)
    yet = "nothing is deployed yet: the first merge that the image workflow builds will be"

    assert fresh.release("releases") == 0
    assert capsys.readouterr().out.splitlines() == [yet]
    assert fresh.release("rollback", "--last", "--yes") == 1
    assert yet in capsys.readouterr().err

    first = fresh.merge("Greet people")
    fresh.bump(first)
    fresh.ada.git("pull", "--quiet", "--rebase")
    assert fresh.release("releases") == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[2] for row in rows] == [first]
    assert rows[0].endswith("deployed now")
    assert fresh.release("rollback", "--last", "--yes") == 1
    assert "merge a fix" in capsys.readouterr().err


def of(registry: Registry) -> list[str]:
    """Options that name a registry."""
    return ["--repository", registry.repository, "--insecure", "--crane", registry.crane]


@pytest.fixture
def fork(tmp_path: Path, origin: Origin) -> Origin:
    """A fork of a main with three deployments, with one of its own."""
    fork = Origin.of(tmp_path / "fork", copy_of=origin.path)
    fork.bump(fork.merge("Greet in the fork"))
    fork.ada.git("pull", "--quiet", "--rebase")
    return fork


def test_a_fork_with_one_deployment_of_its_own_has_nothing_to_go_back_to(
    fork: Origin, registry: Registry, push: Callable[[str, str], str], capsys: Output
) -> None:
    """What its upstream deployed is in Git, and in nobody's registry here."""
    push("image", tag_of(fork, 8))
    tip = fork.tip

    assert fork.release("rollback", "--last", "--yes", *of(registry)) == 1

    assert fork.tip == tip
    output = capsys.readouterr().err
    assert "nothing was deployed before what is deployed now" in output
    assert f"{tag_of(fork, 6)} is not in {registry.repository}" in output


def test_an_image_that_is_in_git_and_not_in_the_registry_is_refused(
    fork: Origin, registry: Registry, push: Callable[[str, str], str], capsys: Output
) -> None:
    push("image", tag_of(fork, 8))

    assert fork.release("rollback", tag_of(fork, 4), "--yes", *of(registry)) == 1

    assert f"is not in {registry.repository}: it could not run" in capsys.readouterr().err


def test_last_takes_the_newest_earlier_image_that_the_registry_has(
    origin: Origin, registry: Registry, push: Callable[[str, str], str]
) -> None:
    """The one before was purged; of the one before that, the digest is there too."""
    digest = push("image", tag_of(origin, 2))
    origin.ada.git("pull", "--quiet", "--rebase")
    text = (origin.ada.path / KUSTOMIZATION).read_text()
    earlier = with_deployed(text, Deployed(tag_of(origin, 2), digest))
    origin.ada.commit("Deploy an earlier one", {KUSTOMIZATION: earlier})
    origin.ada.git("push", "--quiet", "origin", "main")
    origin.bump(origin.merge("Greet again"))

    assert origin.release("rollback", "--last", "--yes", *of(registry)) == 0

    assert origin.deployed == tag_of(origin, 2)


def test_what_the_remote_upstream_deployed_is_not_ones_own(
    fork: Origin, origin: Origin, capsys: Output
) -> None:
    """Where no registry is known, the remote that `gh repo clone` names so tells them apart."""
    fork.ada.git("remote", "add", "upstream", str(origin.path))
    fork.ada.git("fetch", "--quiet", "upstream")

    assert fork.release("rollback", "--last", "--yes") == 1
    assert "behind the remote `upstream`" in capsys.readouterr().err

    assert fork.release("releases") == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows[0].endswith("deployed now")
    assert all(row.endswith("`upstream`, not here") for row in rows[1:4])


def test_a_registry_that_cannot_be_asked_stops_no_rollback(origin: Origin, capsys: Output) -> None:
    nowhere = Registry("127.0.0.1:1/bot", crane=str(tool("crane")), insecure=True)

    assert origin.release("rollback", "--last", "--yes", *of(nowhere)) == 0

    assert origin.deployed == tag_of(origin, 4)
    assert "Going by Git alone" in capsys.readouterr().err


def test_the_registry_that_set_up_recorded_is_the_one_that_is_asked(
    fork: Origin, registry: Registry, push: Callable[[str, str], str], capsys: Output
) -> None:
    push("image", tag_of(fork, 8))
    host, name = registry.repository.split("/")
    record = f"A=b\nACR_LOGIN_SERVER='{host}'\n"
    fork.ada.write({"clusters/azure/discord-sky.local.env": record})

    assert fork.release("releases", "--insecure", "--crane", registry.crane) == 0

    output = capsys.readouterr().out
    assert f"not in {host}/discordskybot" in output
    assert name != "discordskybot"


def test_releases_says_what_is_only_in_history(
    fork: Origin, registry: Registry, push: Callable[[str, str], str], capsys: Output
) -> None:
    digest = push("image", tag_of(fork, 8))
    fork.release("rollback", tag_of(fork, 8), "--digest", digest, "--yes", *of(registry))
    fork.ada.git("pull", "--quiet")
    capsys.readouterr()

    assert fork.release("releases", *of(registry)) == 0

    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows[0].endswith("deployed now")
    assert all(row.endswith(f"not in {registry.repository}") for row in rows[1:])


def test_releases_says_that_every_image_is_excluded(
    origin: Origin, registry: Registry, push: Callable[[str, str], str], capsys: Output
) -> None:
    """A rollback, and then a new registry with nothing but the image of main as it is."""
    origin.release("rollback", "--last", "--yes")
    push("image", tag_of(origin, 6))
    origin.ada.git("pull", "--quiet")
    capsys.readouterr()

    assert origin.release("releases", *of(registry)) == 0

    output = capsys.readouterr().out
    assert f"{registry.repository} has no image that Flux may deploy" in output
    push("another", tag_of(origin, 4))
    origin.release("releases", *of(registry))
    assert "has no image" not in capsys.readouterr().out


AZ = """\
#!/bin/sh
echo "$*" >> "$0.log"
case "$*" in
  *"repository list"*) echo '["discordskybot"]' ;;
  *show-tags*) echo '[{{"name": "{tag}", "digest": "{digest}"}}]' ;;
esac
"""


def test_retain_locks_what_the_registry_has_and_names_what_is_only_in_history(
    fork: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    tag = tag_of(fork, 8)
    az = tmp_path / "bin/az"
    az.parent.mkdir()
    az.write_text(AZ.format(tag=tag, digest=digest_of(tag)))
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{az.parent}:{os.environ['PATH']}")

    assert fork.release("retain", "--registry", "sky", "--days", str(365 * 60)) == 0

    updates = [line for line in (az.parent / "az.log").read_text().splitlines() if "update" in line]
    assert len(updates) == 2
    assert all(tag in line or digest_of(tag) in line for line in updates)
    output = capsys.readouterr().out
    assert f"discordskybot:{tag_of(fork, 6)} is not in sky: only in Git's history" in output


def test_retain_locks_every_name_that_a_rollback_needs(origin: Origin, capsys: Output) -> None:
    """The test's clock is in the past: only what is still deployed lies within 90 days."""
    newest = tag_of(origin, 6)
    git = Git(origin.ada.path)
    source = source_tag(input_hash(git, git.commit(newest[-7:])))

    assert origin.release("retain", "--registry", "sky", "--dry-run") == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for name in (f":{newest}", f"@{digest_of(newest)}", f":{source}"):
        command = f"az acr repository update --name sky --image discordskybot{name} "
        assert any(line.startswith(command + "--delete-enabled false") for line in lines)


def test_retain_unlocks_what_fell_out_of_the_time(origin: Origin, capsys: Output) -> None:
    days = ["--days", str(365 * 60)]  # long enough for any clock
    origin.release("retain", "--registry", "sky", "--dry-run", *days)
    assert capsys.readouterr().out.count("--delete-enabled false") == 9

    origin.release("retain", "--registry", "sky", "--dry-run", "--days", "0")
    assert capsys.readouterr().out.count("--delete-enabled false") == 3
