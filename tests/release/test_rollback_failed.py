"""`rollback-failed`: Git goes back from a version that failed, once, and from nothing else."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from release import rollback_failed
from release.failed_rollout import sentence
from release.git import Git
from release.history import Deployed
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION, with_deployed
from release.publish import Branch

from tests.release.clone import Clone
from tests.release.origin import ROBOT, Origin, digest_of

Output = pytest.CaptureFixture[str]
MESSAGE = (
    "health check failed after 2m0.5s: failed early due to stalled resources: "
    "[Deployment/discord-sky/discord-sky-bot status: 'Failed']"
)
WHO = "Discord Sky rollback on failure <rollback-on-failure@discord-sky.invalid>"
LONG = 60  # minutes: whatever was deployed for as long is known to work
CONFIG = "apps/discord-sky/config.toml"
PERSONA = "apps/discord-sky/personas/bard.toml"


def wait(origin: Origin, minutes: float) -> None:
    """Let time pass: both clones' clocks agree, and go on."""
    now = max(origin.ada.clock, origin.robot.clock) + int(minutes * 60)
    origin.ada.clock = origin.robot.clock = now


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    """Main with two deployments of an hour each, and a third one that is new."""
    origin = Origin.new(tmp_path_factory.mktemp("master"))
    for subject in ("Greet people", "Greet nobody"):
        deploy(origin, subject)
        wait(origin, LONG)
    deploy(origin, "Greet twice")
    return origin


@pytest.fixture
def origin(master: Origin, tmp_path: Path) -> Origin:
    """Copy the repository and its clones: they are the same at the start of each test."""
    folder = master.path.parent
    shutil.copytree(folder, tmp_path / "copy")
    bare, ada, robot = (
        tmp_path / "copy" / one.relative_to(folder)
        for one in (master.path, master.ada.path, master.robot.path)
    )
    copy = Origin(bare, Clone(ada, master.ada.clock), Clone(robot, master.robot.clock))
    for clone in (copy.ada, copy.robot):
        clone.git("remote", "set-url", "origin", str(bare))
    wait(copy, 0)
    return copy


def deploy(origin: Origin, subject: str) -> str:
    """Merge, build, and let the automation deploy, in two minutes; return its commit."""
    began = max(origin.ada.clock, origin.robot.clock)
    commit = origin.bump(origin.merge(subject))
    origin.ada.clock = origin.robot.clock = began + 120
    return commit


def settings(origin: Origin, files: dict[str, str], subject: str = "Be a pirate") -> str:
    """Merge a branch that changes settings, in two minutes; return the merge."""
    ada = origin.ada
    began = max(origin.ada.clock, origin.robot.clock)
    ada.git("pull", "--quiet", "--rebase")
    ada.git("switch", "--quiet", "--create", "topic")
    ada.commit(subject, files)
    ada.git("switch", "--quiet", "main")
    ada.clock = began
    ada.git("merge", "--quiet", "--no-ff", "-m", f"Merge: {subject}", "topic")
    ada.git("branch", "--quiet", "-D", "topic")
    ada.git("push", "--quiet", "origin", "main")
    merge = ada.git("rev-parse", "HEAD")
    ada.clock = origin.robot.clock = began + 120
    return merge


def event(origin: Origin, revision: str = "", after: float = 2, **changed: Any) -> dict[str, Any]:
    """GitHub's event, AFTER minutes from the commit that failed (default: main's tip)."""
    revision = revision or origin.tip
    made = int(Clone(origin.path).git("show", "--no-patch", "--format=%ct", revision))
    when = datetime.fromtimestamp(made, UTC) + timedelta(minutes=after)
    payload = {
        "involvedObject": {
            "kind": "Kustomization",
            "namespace": "flux-system",
            "name": "discord-sky",
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        },
        "severity": "error",
        "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": MESSAGE,
        "reason": "HealthCheckFailed",
        "metadata": {"revision": f"main@sha1:{revision}"},
        "reportingController": "kustomize-controller",
    }
    return {
        "action": "Kustomization/discord-sky.flux-system",
        "branch": "main",
        "client_payload": payload | changed,
    }


def fails(origin: Origin, *arguments: str, told: dict[str, Any] | None = None) -> int:
    """Let the workflow run for an event, of main's tip if it is not given."""
    file = origin.path.parent / "event.json"
    file.write_text(json.dumps(told or event(origin)))
    wait(origin, 2)
    return release(origin, "rollback-failed", "--event", str(file), *arguments)


def release(origin: Origin, *arguments: str) -> int:
    """Run a release program, which has the clones' time and not the machine's."""
    with pytest.MonkeyPatch.context() as now:
        time = datetime.fromtimestamp(origin.ada.clock, UTC)
        now.setattr(rollback_failed, "clock_time", lambda: time)
        for role in ("AUTHOR", "COMMITTER"):
            now.setenv(f"GIT_{role}_DATE", f"{origin.ada.clock} +0000")
        return origin.release(*arguments)


def message(origin: Origin) -> str:
    return Clone(origin.path).git("show", "--no-patch", "--format=%an <%ae>%n%B", "main")


def tag_of(origin: Origin, number: int) -> str:
    line = Clone(origin.path).git("rev-list", "--first-parent", "--reverse", "main").split()
    return f"main-{number}-{line[number - 1][:7]}"


def test_the_older_tag_its_exclusion_and_the_reason_are_one_commit(origin: Origin) -> None:
    before, bad, good = origin.tip, tag_of(origin, 6), tag_of(origin, 4)

    assert fails(origin) == 0

    assert origin.deployed == good
    assert origin.excluded == ["^main-0*(?:[5-6])-[0-9a-f]{7}$"]
    assert Clone(origin.path).git("rev-parse", "main~1") == before
    changed = Clone(origin.path).git("show", "--name-only", "--format=", "main").split()
    assert set(changed) == {KUSTOMIZATION, IMAGE_REPOSITORY}
    who, subject, _, why, *_ = message(origin).split("\n")
    assert who == WHO
    assert subject == f"Roll back to {good}: {bad} failed"
    assert why == (
        f"{bad} did not become Ready: its rollout failed after 2m0s. Excluded from now on: 5 to 6."
    )


def test_the_guard_agrees(origin: Origin, capsys: Output) -> None:
    fails(origin)

    release(origin, "guard")

    assert "nothing to do" in capsys.readouterr().out


def test_the_same_event_again_does_nothing(origin: Origin, capsys: Output) -> None:
    told = event(origin)
    fails(origin, told=told)
    tip = origin.tip

    assert fails(origin, told=told) == 0

    assert origin.tip == tip
    assert "nothing to do: main has moved on since" in capsys.readouterr().out


def test_what_a_person_deploys_again_is_not_undone_by_an_old_event(origin: Origin) -> None:
    told, bad = event(origin), tag_of(origin, 6)
    fails(origin, told=told)
    assert release(origin, "rollback", bad, "--yes") == 0

    fails(origin, told=told)

    assert origin.deployed == bad
    assert origin.excluded == []


def test_a_newer_deployment_is_left_alone(origin: Origin, capsys: Output) -> None:
    told = event(origin)
    deploy(origin, "Fix it")
    tip = origin.tip

    assert fails(origin, told=told) == 0

    assert origin.tip == tip
    assert "main has moved on" in capsys.readouterr().out


def test_a_fix_that_is_still_being_built_is_not_excluded(origin: Origin, capsys: Output) -> None:
    """A person's rollback excludes what was merged before it; nobody has judged this one."""
    fix = origin.merge("Fix it")
    wait(origin, 0)

    assert fails(origin, told=event(origin, origin.ada.git("rev-parse", "HEAD~1"))) == 0

    assert origin.deployed == tag_of(origin, 4)
    assert origin.excluded == ["^main-0*(?:[5-6])-[0-9a-f]{7}$"]
    assert fix.startswith("main-8-")
    capsys.readouterr()
    release(origin, "guard")
    assert "nothing to do" in capsys.readouterr().out
    origin.bump(fix)
    release(origin, "guard")
    assert origin.excluded == []


def test_two_bad_merges_in_a_row_end_at_the_one_before_both(origin: Origin) -> None:
    """The second one arrived before anybody could know of the first."""
    deploy(origin, "Greet thrice")

    assert fails(origin) == 0

    assert origin.deployed == tag_of(origin, 4)
    assert origin.excluded == ["^main-0*(?:[5-8])-[0-9a-f]{7}$"]


def test_where_everything_is_new_the_one_before_is_gone_back_to(tmp_path: Path) -> None:
    fresh = Origin.new(tmp_path)
    deploy(fresh, "Greet people")
    deploy(fresh, "Greet nobody")

    assert fails(fresh) == 0

    assert fresh.deployed == tag_of(fresh, 2)


def test_the_option_says_how_long_an_image_must_have_run(origin: Origin) -> None:
    deploy(origin, "Greet thrice")

    assert fails(origin, "--proven", "60") == 0

    assert origin.deployed == tag_of(origin, 6)


def test_the_first_image_of_all_stays(tmp_path: Path, capsys: Output) -> None:
    fresh = Origin.new(tmp_path)
    deploy(fresh, "Greet people")

    assert fails(fresh) == 0

    assert fresh.deployed == tag_of(fresh, 2)
    assert "nothing was deployed before it" in capsys.readouterr().out


def test_what_was_gone_back_to_is_not_gone_back_from(origin: Origin, capsys: Output) -> None:
    """While Discord is down nothing becomes Ready: otherwise each version would be left in turn."""
    fails(origin)

    assert fails(origin) == 0

    assert origin.deployed == tag_of(origin, 4)
    output = capsys.readouterr().out
    assert f"went back to {tag_of(origin, 4)}, and that did not become Ready either" in output
    assert "`make doctor`" in output
    assert "ran before" not in output


def test_what_a_person_went_back_to_is_not_gone_back_from(origin: Origin) -> None:
    release(origin, "rollback", "--last", "--yes")
    wait(origin, 0)

    fails(origin)

    assert origin.deployed == tag_of(origin, 4)


def test_a_version_that_the_automation_wrote_over_its_exclusion_is_left_to_flux(
    origin: Origin, capsys: Output
) -> None:
    fails(origin)
    origin.bump(tag_of(origin, 6))
    tip = origin.tip

    assert fails(origin) == 0

    assert origin.tip == tip
    assert "is excluded already" in capsys.readouterr().out


def test_what_a_person_rolled_back_is_not_gone_back_to(origin: Origin) -> None:
    """Its exclusion is not in the list any more, because a newer merge was deployed."""
    release(origin, "rollback", tag_of(origin, 2), "--yes")
    wait(origin, 1)
    deploy(origin, "Greet again")

    fails(origin)

    assert origin.deployed == tag_of(origin, 2)


def test_a_version_that_has_run_for_hours_is_not_what_fails(origin: Origin, capsys: Output) -> None:
    tip = origin.tip

    wait(origin, LONG * 3)
    assert fails(origin, told=event(origin, after=LONG * 3)) == 0

    assert origin.tip == tip
    output = capsys.readouterr().out
    assert "more than 60 minutes before: something else may be wrong; see why with" in output
    assert "has run" not in output


def test_a_commit_that_changes_nothing_of_the_bots_is_not_taken_for_the_cause(
    origin: Origin,
) -> None:
    origin.ada.git("pull", "--quiet", "--rebase")
    origin.ada.commit("Say hello", {"README.md": "hello\n"})
    origin.ada.git("push", "--quiet", "origin", "main")

    fails(origin)

    assert origin.deployed == tag_of(origin, 4)
    assert origin.file("README.md").strip() == "hello"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reason": "ReconciliationFailed"}, "ReconciliationFailed of Kustomization/discord-sky"),
        ({"severity": "info"}, "is no failed rollout"),
        (
            {"message": MESSAGE.replace("'Failed'", "'InProgress'")},
            "Kubernetes has not said that the rollout failed",
        ),
        ({"involvedObject": {"kind": "Kustomization", "namespace": "x", "name": "y"}}, "no failed"),
        ({"metadata": {"revision": f"main@sha1:{'a' * 40}"}}, "is no commit of main any more"),
    ],
)
def test_an_event_of_anything_else_does_nothing(
    origin: Origin, capsys: Output, changed: dict[str, Any], said: str
) -> None:
    tip = origin.tip

    assert fails(origin, told=event(origin, **changed)) == 0

    assert origin.tip == tip
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [
        {"metadata": {}},
        {"metadata": {"revision": "$(touch x)"}},
        {"metadata": None},
        {"timestamp": "yesterday"},
        {"involvedObject": []},
    ],
)
def test_what_is_no_event_of_fluxs_fails_the_run(
    origin: Origin, capsys: Output, changed: dict[str, Any]
) -> None:
    tip = origin.tip

    assert fails(origin, told=event(origin, **changed)) == 1

    assert origin.tip == tip
    assert "release rollback-failed: " in capsys.readouterr().err


def test_nothing_in_an_event_is_an_instruction(origin: Origin) -> None:
    """Anyone who may dispatch writes it: no skipped workflow, no trailer, no second line."""
    nasty = f"x\n\n[skip ci] Co-authored-by: x\n\x1b[31m{'x' * 5000}"

    assert fails(origin, told=event(origin, message=f"{MESSAGE}\n{nasty}")) == 0

    assert "skip ci" not in message(origin)
    assert sentence(nasty).startswith("x (skip ci) Co-authored-by: x (31mxxx")
    assert len(sentence(nasty)) == 300


def test_a_push_in_between_is_taken_in(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    push, merged = Branch.push, list[str]()

    def late(branch: Branch, commit: str) -> bool:
        if not merged:
            merged.append(deploy(origin, "Meanwhile"))
        return push(branch, commit)

    monkeypatch.setattr(Branch, "push", late)

    assert fails(origin) == 0

    assert origin.tip == merged[0], "its deployment is newer than what failed"


def test_a_dry_run_pushes_nothing(origin: Origin, capsys: Output) -> None:
    tip = origin.tip

    assert fails(origin, "--dry-run") == 0

    assert origin.tip == tip
    assert f"+    newTag: {tag_of(origin, 4)}" in capsys.readouterr().out


def test_releases_tells_what_was_tried_and_why_it_failed(origin: Origin, capsys: Output) -> None:
    bad, good = tag_of(origin, 6), tag_of(origin, 4)
    fails(origin)
    wait(origin, LONG)
    merge = settings(origin, edited(origin, PERSONA, "bad = true"))
    fails(origin)
    origin.ada.git("pull", "--quiet", "--rebase")
    capsys.readouterr()

    assert origin.release("releases") == 0

    _, now, tried, *_, reverted, excluded = capsys.readouterr().out.splitlines()
    why = "did not become Ready: its rollout failed after 2m0s"
    assert now.split()[2] == good
    assert "Discord Sky rollback on failure" in now
    assert now.endswith("deployed now")
    assert tried.split()[2] == bad
    assert tried.endswith(f"{why}, excluded")
    assert reverted == f"failed: {merge[:7]}, which {why}; reverted in {origin.tip[:7]}"
    assert excluded.startswith("excluded: numbers 5 to 6; Discord Sky rollback on failure went")


# -- settings and personas


def edited(origin: Origin, path: str, line: str) -> dict[str, str]:
    origin.ada.git("pull", "--quiet", "--rebase")
    file = origin.ada.path / path
    return {path: (file.read_text() if file.exists() else "") + line + "\n"}


@pytest.mark.parametrize("path", [CONFIG, PERSONA])
def test_a_merge_of_settings_is_reverted_and_the_image_stays(origin: Origin, path: str) -> None:
    wait(origin, LONG)
    before = origin.tip
    merge = settings(origin, edited(origin, path, "bad = true"))

    assert fails(origin) == 0

    assert Clone(origin.path).git("diff", before, "main") == ""
    assert Clone(origin.path).git("rev-parse", "main~1") == merge
    who, subject, _, why, _, reverts, *_ = message(origin).split("\n")
    assert who == WHO
    assert subject == 'Revert "Merge: Be a pirate": it failed'
    assert why.startswith(f'{merge[:7]} ("Merge: Be a pirate") did not become Ready: its')
    assert reverts == f"This reverts commit {merge}."
    assert origin.excluded == []


def test_a_revert_of_settings_happens_once_and_keeps_what_was_merged_since(
    origin: Origin, capsys: Output
) -> None:
    wait(origin, LONG)
    merge = settings(origin, edited(origin, PERSONA, "bad = true"))
    origin.ada.commit("Say hello", {"README.md": "hello\n"})
    origin.ada.git("push", "--quiet", "origin", "main")
    told = event(origin, merge)

    fails(origin, told=told)
    tip = origin.tip
    fails(origin, told=told)
    fails(origin)

    assert origin.tip == tip
    assert origin.file("README.md").strip() == "hello"
    assert "has brought back earlier settings, and that did not become" in capsys.readouterr().out


def test_settings_that_an_image_followed_too_soon_are_left_with_it_to_a_person(
    origin: Origin, capsys: Output
) -> None:
    """Nobody knows which of the two it was."""
    wait(origin, LONG)
    merge = settings(origin, edited(origin, CONFIG, "bad = true"))
    tip = deploy(origin, "Greet thrice")

    assert fails(origin) == 0

    assert origin.tip == tip
    output = capsys.readouterr().out
    assert f"nothing was undone: {merge[:7]} (Merge: Be a pirate) and {tip[:7]} (Deploy" in output
    assert "within 5 minutes of each other" in output


@pytest.mark.parametrize("path", [CONFIG, "apps/discord-sky/README.md"])
def test_settings_that_follow_a_bad_image_are_not_taken_for_the_cause(
    origin: Origin, capsys: Output, path: str
) -> None:
    """The image's own event came too late: main had moved on, or the folder's README had."""
    told = event(origin)
    good, bad = tag_of(origin, 4), tag_of(origin, 6)
    settings(origin, edited(origin, path, "good = true"))

    fails(origin, told=told)
    fails(origin)

    assert "good = true" in origin.file(path)
    output = capsys.readouterr().out
    if path == CONFIG:
        assert origin.deployed == bad
        assert "so nobody knows which of them failed" in output
    else:
        assert origin.deployed == good, "Flux does not apply a README"


def test_two_merges_of_settings_at_once_are_left_to_a_person(origin: Origin) -> None:
    wait(origin, LONG)
    settings(origin, edited(origin, CONFIG, "bad = true"))
    tip = settings(origin, edited(origin, PERSONA, "good = true"))

    fails(origin)

    assert origin.tip == tip


@pytest.mark.parametrize(
    ("path", "applied"),
    [
        ("apps/discord-sky/README.md", False),
        ("apps/discord-sky/alerts.rules", False),
        ("apps/discord-sky/personas/unlisted.toml", False),
        ("apps/discord-sky/shards/leases.yaml", False),
        ("apps/discord-sky/trial/deployment.yaml", True),
        ("apps/discord-sky/deployment.yaml", True),
        ("apps/discord-sky/personas/café.toml", True),
    ],
)
def test_what_flux_does_not_apply_is_no_cause(origin: Origin, path: str, applied: bool) -> None:  # noqa: FBT001
    component = "kind: Component\npatches:\n  - path: deployment.yaml\nresources: [leases.yaml]\n"
    files = {f"apps/discord-sky/{one}/kustomization.yaml": component for one in ("shards", "trial")}
    used = (
        origin.robot.path / KUSTOMIZATION
    ).read_text() + "components:\n  - trial  # not shards\nfiles: [personas/café.toml]\n"
    wait(origin, LONG)
    settings(origin, files | {KUSTOMIZATION: used})
    wait(origin, LONG)
    merge = settings(origin, edited(origin, path, "# new"))

    fails(origin)

    assert (origin.tip != merge) == applied


# -- what a person went back to


def test_a_persons_revert_of_settings_is_not_undone(origin: Origin, capsys: Output) -> None:
    """They are reverted for what they do, and Discord is down just then."""
    wait(origin, LONG)
    merge = settings(origin, edited(origin, PERSONA, "bad = true"))
    wait(origin, LONG * 3)
    origin.ada.git("pull", "--quiet", "--rebase")
    origin.ada.git("revert", "--no-edit", "--mainline", "1", merge)
    origin.ada.git("push", "--quiet", "origin", "main")
    tip = origin.tip

    assert fails(origin) == 0

    assert origin.tip == tip
    assert "brought back what main had before" in capsys.readouterr().out


@pytest.mark.parametrize("says_so", [False, True])
def test_a_part_that_a_person_reverted_is_not_undone(origin: Origin, says_so: bool) -> None:  # noqa: FBT001
    """By hand, or by Git's revert of one of two changes in a file."""
    wait(origin, LONG)
    before = edited(origin, PERSONA, "one = true")
    first = settings(origin, before)
    wait(origin, LONG)
    settings(origin, edited(origin, CONFIG, "two = true"))
    wait(origin, LONG)
    new = edited(origin, PERSONA, "three = true")
    settings(origin, new)
    wait(origin, LONG)
    subject = "Be nobody"
    if says_so:
        subject += f"\n\nThis reverts commit {first}."
        text = {PERSONA: new[PERSONA].replace("one = true\n", "")}
    else:
        text = before
    tip = settings(origin, text, subject)

    fails(origin)

    assert origin.tip == tip


def test_the_older_tag_that_the_automation_writes_after_a_rollback_stays(origin: Origin) -> None:
    """It won the race against a person's revert, and the guard put it right."""
    good, bad = tag_of(origin, 4), tag_of(origin, 6)
    assert release(origin, "rollback", good, "--yes") == 0
    wait(origin, 0)
    origin.bump(bad)
    wait(origin, 0)
    tip = origin.bump(good)

    assert fails(origin) == 0

    assert origin.tip == tip


def test_the_bytes_of_an_earlier_image_are_not_gone_back_from(
    origin: Origin, capsys: Output
) -> None:
    """A person reverted a merge: the new number is on the old digest."""
    good = tag_of(origin, 4)
    text = (origin.robot.path / KUSTOMIZATION).read_text()
    tag = origin.merge("Revert that")
    wait(origin, LONG)
    files = {KUSTOMIZATION: with_deployed(text, Deployed(tag, digest_of(good)))}
    origin.robot.git("pull", "--quiet", "--rebase")
    tip = origin.robot.commit("Deploy", files, ROBOT)
    origin.robot.git("push", "--quiet", "origin", "main")

    assert fails(origin) == 0

    assert origin.tip == tip
    assert f"{tag} is an image that main named before, as {good}" in capsys.readouterr().out


# -- tags of no image


def by_hand(origin: Origin, tag: str) -> str:
    """Let Ada write a tag, with a digest of no image."""
    origin.ada.git("pull", "--quiet", "--rebase")
    text = (origin.ada.path / KUSTOMIZATION).read_text()
    files = {KUSTOMIZATION: with_deployed(text, Deployed(tag, f"sha256:{'e' * 64}"))}
    commit = origin.ada.commit("Deploy by hand", files)
    origin.ada.git("push", "--quiet", "origin", "main")
    return commit


@pytest.mark.parametrize("tag", ["main-99-abcdef0", "main-6-abcdef0"])
def test_a_mistyped_tag_is_replaced_by_what_main_named_before_it(
    origin: Origin, capsys: Output, tag: str
) -> None:
    good = tag_of(origin, 6)
    wait(origin, LONG)
    by_hand(origin, tag)

    assert fails(origin) == 0

    assert origin.deployed == good
    assert origin.excluded == []
    assert fails(origin) == 0
    assert origin.deployed == good
    assert "did not become Ready either" in capsys.readouterr().out


def test_a_rollback_that_was_mistyped_is_not_undone(origin: Origin) -> None:
    wait(origin, LONG)
    tip = by_hand(origin, "main-4-abcdef0")

    fails(origin)

    assert origin.tip == tip


def test_a_mistyped_tag_is_never_gone_back_to(origin: Origin) -> None:
    wait(origin, LONG)
    by_hand(origin, "main-5-abcdef0")
    wait(origin, LONG)
    deploy(origin, "Greet thrice")

    fails(origin)

    assert origin.deployed == tag_of(origin, 6)


def test_settings_beside_a_mistyped_tag_are_not_taken_for_the_cause(origin: Origin) -> None:
    by_hand(origin, "main-99-abcdef0")
    wait(origin, LONG)
    tip = settings(origin, edited(origin, CONFIG, "good = true"))

    fails(origin)

    assert origin.tip == tip


# -- causes elsewhere, and clocks


@pytest.mark.parametrize("minutes", [-2, 2, LONG])
def test_a_change_of_a_clusters_manifests_is_left_to_a_person(
    origin: Origin, capsys: Output, minutes: int
) -> None:
    """A patch of the bot: it counts as long as the next change came soon after."""
    path = "clusters/production/kustomization-discord-sky.yaml"
    wait(origin, LONG)
    if minutes < 0:
        settings(origin, edited(origin, path, "# a patch"), "Patch it")
        tip = settings(origin, edited(origin, PERSONA, "good = true"))
    else:
        settings(origin, edited(origin, PERSONA, "good = true"))
        wait(origin, minutes)
        tip = settings(origin, edited(origin, path, "# a patch"), "Patch it")

    assert fails(origin) == 0

    assert origin.tip == tip
    assert "(Merge: Patch it)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path", ["clusters/README.md", "clusters/azure/up.py", "clusters/production/alerts/x.yaml"]
)
def test_what_does_not_reach_the_bot_may_change_in_clusters(origin: Origin, path: str) -> None:
    settings(origin, edited(origin, path, "# new"))

    fails(origin)

    assert origin.deployed == tag_of(origin, 4)


def test_a_commit_of_image_and_settings_at_once_is_left_to_a_person(
    origin: Origin, capsys: Output
) -> None:
    wait(origin, LONG)
    tag = origin.merge("Greet thrice")
    text = with_deployed(
        (origin.robot.path / KUSTOMIZATION).read_text(), Deployed(tag, digest_of(tag))
    )
    tip = settings(origin, {KUSTOMIZATION: text} | edited(origin, PERSONA, "bad = true"))

    assert fails(origin) == 0

    assert origin.tip == tip
    assert "changed the image and other things at once" in capsys.readouterr().out


def test_nobody_claims_that_a_commit_ran_because_it_is_old(origin: Origin, capsys: Output) -> None:
    """It was committed two hours ago, and pushed just now."""
    merge = settings(origin, edited(origin, CONFIG, "bad = true"))
    wait(origin, LONG * 2)

    assert fails(origin, told=event(origin, after=LONG * 2)) == 0

    assert origin.tip == merge
    assert "has run" not in capsys.readouterr().out


def test_a_commit_is_not_older_than_what_machines_pushed_below_it(origin: Origin) -> None:
    """Its committer's clock is hours behind."""
    wait(origin, LONG)
    files = edited(origin, CONFIG, "bad = true")
    origin.bump(tag_of(origin, 6))  # changes nothing, and says what time it is
    wait(origin, 0)
    now = origin.ada.clock
    origin.ada.clock = origin.robot.clock = now - 7200
    settings(origin, files)
    origin.ada.clock = origin.robot.clock = now
    told = event(origin)
    told["client_payload"]["timestamp"] = datetime.fromtimestamp(now + 120, UTC).isoformat()

    fails(origin, told=told)

    assert Clone(origin.path).git("ls-tree", "main", CONFIG) == ""


def test_an_event_that_claims_an_early_time_undoes_nothing_old(origin: Origin) -> None:
    tip = origin.tip
    wait(origin, LONG * 24)

    assert fails(origin, told=event(origin, after=2)) == 0

    assert origin.tip == tip


@pytest.mark.parametrize("field", ["kind", "name", "reason"])
def test_no_field_of_an_event_writes_a_command_into_the_log(
    origin: Origin, capsys: Output, field: str
) -> None:
    told = event(origin)
    payload = told["client_payload"]
    part = payload if field == "reason" else payload["involvedObject"]
    part[field] = "x\n::error::forged"

    assert fails(origin, told=told) == 0

    written = capsys.readouterr()
    assert "forged" in written.out
    assert not any(line.startswith("::") for line in (written.out + written.err).splitlines())


def test_an_image_that_main_only_named_is_not_said_to_have_run(
    origin: Origin, capsys: Output
) -> None:
    """The event of number 6 was lost: Git says how long main named it, and no more."""
    wait(origin, 10)
    deploy(origin, "Greet thrice")

    fails(origin)
    fails(origin)

    assert origin.deployed == tag_of(origin, 6)
    output = capsys.readouterr().out
    assert f"went back to {tag_of(origin, 6)}, and that did not become Ready either" in output
    assert " ran " not in output


def test_settings_that_stood_alone_for_long_are_not_reverted(origin: Origin) -> None:
    wait(origin, LONG)
    settings(origin, edited(origin, CONFIG, "good = true"))
    wait(origin, 10)
    deploy(origin, "Greet thrice")

    fails(origin)
    fails(origin)

    assert "good = true" in origin.file(CONFIG)
    assert origin.deployed == tag_of(origin, 6)


def test_a_revert_that_conflicts_is_left_to_a_person(origin: Origin, capsys: Output) -> None:
    """The same line was changed in the README of the folder, by a merge of another change."""
    wait(origin, LONG)
    files = edited(origin, CONFIG, "bad = true") | {"README.md": "one\n"}
    merge = settings(origin, files)
    origin.ada.commit("Another", {"README.md": "two\n"})
    origin.ada.git("push", "--quiet", "origin", "main")
    tip = origin.tip

    assert fails(origin) == 1

    assert origin.tip == tip
    output = capsys.readouterr().err
    assert f"git revert --mainline 1 {merge[:7]}" in output


def test_a_tag_that_was_edited_by_hand_is_no_change_of_settings(origin: Origin) -> None:
    wait(origin, LONG)
    tag = origin.merge("Greet thrice")
    assert release(origin, "rollback", tag, "--digest", digest_of(tag), "--yes") == 0
    wait(origin, 0)

    fails(origin)

    assert origin.deployed == tag_of(origin, 6)


def test_what_a_person_deploys_again_is_not_gone_back_from(origin: Origin) -> None:
    wait(origin, LONG)
    release(origin, "rollback", tag_of(origin, 4), "--yes")
    wait(origin, LONG)
    assert release(origin, "rollback", tag_of(origin, 6), "--yes") == 0
    wait(origin, 0)

    fails(origin)

    assert origin.deployed == tag_of(origin, 6)


def test_a_revision_can_be_named_by_hand(origin: Origin) -> None:
    wait(origin, 0)
    robot = Clone(origin.robot.path)
    # Deployed now, by the clock of the machine.
    robot.clock = int(datetime.now(UTC).timestamp()) - 120
    text = (robot.path / KUSTOMIZATION).read_text()
    tag = origin.merge("Greet thrice")
    robot.git("pull", "--quiet", "--rebase")
    robot.commit(
        "Deploy", {KUSTOMIZATION: with_deployed(text, Deployed(tag, digest_of(tag)))}, ROBOT
    )
    robot.git("push", "--quiet", "origin", "main")
    Git(origin.ada.path).raw("fetch", "--quiet", "origin")

    why = ("--why", "failed its trial: 3 of 3 answers raised TypeError")
    assert origin.release("rollback-failed", "--revision", "origin/main", *why) == 0

    assert f"\n{tag} failed its trial: 3 of 3 answers raised TypeError. " in message(origin)
