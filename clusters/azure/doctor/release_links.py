"""The links that decide which image runs, and whether people are told of it.

Workflows, rules for main, registry, policy, automation; alerts. Pure, like the other links.
"""

from __future__ import annotations

import re

from clusters.azure import images
from clusters.azure.doctor.facts import BOT, FLUX, Facts, FailedAlert, FluxObject, GitHub
from clusters.azure.doctor.known_errors import AGAIN, again, problem_with
from clusters.azure.doctor.result import CheckResult, Status, broken, condition_problem, ok, unknown
from clusters.azure.steps.alerts import SECRETS
from clusters.azure.steps.github import FAILURE_WORKFLOW, GUARD_WORKFLOWS, IMAGE_WORKFLOWS

_EMPTY = re.compile(r"NAME_UNKNOWN|NOT_FOUND|MANIFEST_UNKNOWN|\b404\b", re.IGNORECASE)
_RULES = re.compile(r"\bGH0(?:06|13)\b|rule violations|protected branch", re.IGNORECASE)
# Nothing but the repository's own refusal: a push that came second is tried again by itself.
_PUSH = re.compile(
    r"read.only|authoriz|authenticat|permission denied|access denied|remote:|\b403\b",
    re.IGNORECASE,
)
_FAST_FORWARD = re.compile(r"non-fast-forward|fetch first|cannot lock ref", re.IGNORECASE)


def image_workflow(facts: Facts) -> CheckResult:
    """Whether GitHub runs the image workflow, at merges and on its schedule."""
    return _workflows(facts, *IMAGE_WORKFLOWS)


def guard(facts: Facts) -> CheckResult:
    """Whether GitHub runs the rollback guard, at pushes and on its schedule."""
    return _workflows(facts, *GUARD_WORKFLOWS)


def rollback(facts: Facts) -> CheckResult:
    """Whether Git goes back by itself from a version that fails, where that was asked for."""
    alert = facts.object("Alert", "rollback")
    # Only set-up creates it: a line in clusters/production does without (clusters/README.md).
    found = facts.object("Kustomization", "alerts-rollback")
    if found is None and alert is None:
        if facts.could_not_be_read("alerts"):
            return unknown("whether it was requested cannot be read with this login")
        return ok(
            "not requested: when a version fails, go back with make rollback TO=--last; "
            'make azure ARGS="--dispatch-token FILE" turns it on'
        )
    if found and (problem := _not_applied(found, alert, facts)):
        return problem
    if alert and alert.suspended:
        return unknown("its Alert is suspended")  # the link of the alerts is broken
    return _answered(facts)


def _not_applied(found: FluxObject, alert: FluxObject | None, facts: Facts) -> CheckResult | None:
    reconcile = f"flux reconcile kustomization {found.name} --namespace {FLUX}"
    summary = "Flux does not tell GitHub of a version that fails"
    if problem := condition_problem(found, summary, "Fix what it names.", reconcile):
        return problem
    if alert is None and not facts.could_not_be_read("alerts"):
        return broken(f"{summary}: there is no Alert rollback.", "Flux restores it.", reconcile)
    return None


def _answered(facts: Facts) -> CheckResult:
    """Return whether GitHub acts on what Flux tells it."""
    result = _workflows(facts, FAILURE_WORKFLOW)
    if result.status is not Status.OK or facts.github is None:
        return result
    if facts.github.rollback_off:
        return ok(
            "switched off by the variable ROLLBACK_ON_FAILURE: go back with make rollback TO=--last"
        )
    # Only a version that fails uses the token, and a delivery leaves no trace.
    return unknown(f"{result.summary}; whether GitHub takes the token shows when a version fails")


def _workflows(facts: Facts, *names: str) -> CheckResult:
    github = facts.github
    if github is None:
        return _without_github(facts)
    if not github.workflows:
        return broken(
            f"GitHub runs no workflow of {github.repository}.",
            f"Open https://github.com/{github.repository}/actions and enable them: in a fork they "
            "are disabled at first.",
            f"gh browse --repo {github.repository} --settings",
        )
    states = {name: github.workflows.get(name, "") for name in names}
    disabled = [name for name, state in states.items() if state.startswith("disabled")]
    if disabled:
        return broken(
            f"{' and '.join(disabled)} {'is' if len(disabled) == 1 else 'are'} disabled "
            f"({states[disabled[0]]}): GitHub does so in forks and after 60 days without a commit.",
            "Enable them; set-up does so as well.",
            *(f"gh workflow enable {name} --repo {github.repository}" for name in disabled),
        )
    if not states[names[0]]:
        return broken(
            f"main of {github.repository} has no .github/workflows/{names[0]}.",
            "Restore it, and merge.",
            f"git log --oneline -- .github/workflows/{names[0]}",
        )
    return ok(f"{' and '.join(name for name, state in states.items() if state)}: enabled")


def _without_github(facts: Facts) -> CheckResult:
    if facts.on_github:
        return unknown("GitHub could not be asked", "Log in, and run the doctor again.", _GH_LOGIN)
    return ok("Flux follows no repository on GitHub")


_GH_LOGIN = "gh auth login --scopes repo,workflow"


def ruleset(facts: Facts) -> CheckResult:
    """Whether the rules for main let the deploy keys pass, and whether there are any."""
    github = facts.github
    if github is None or github.rules is None:
        return _without_github(facts)
    if github.obstacles:
        name, address = next(iter(github.obstacles.items()))
        return broken(
            f"The ruleset {name!r} on main lets no deploy key pass: neither Flux nor the rollback "
            "guard can push.",
            f"Add 'Deploy keys' to its bypass list: {address}",
            f"gh ruleset check main --repo {github.repository}",
        )
    if "pull_request" not in github.rules:
        return ok("main takes pushes without a pull request; make azure ARGS=--ruleset ends that")
    return ok(f"rules for main: {', '.join(sorted(set(github.rules)))}")


def registry(facts: Facts) -> CheckResult:
    """Whether Flux finds tags in the registry."""
    found = facts.object("ImageRepository", BOT)
    if found is None:
        return _missing("ImageRepository")
    if problem := problem_with(facts, "registry"):
        return problem
    if found.ready == "False" and _EMPTY.search(found.message):
        return broken(
            f"The registry has no {found.target} yet: {found.message}",
            "Push the first image: run the image workflow, or build by hand as README.md says.",
            "gh workflow run image.yaml --ref main",
            f"flux reconcile image repository {BOT}",
        )
    remedy = "ACR_LOGIN_SERVER must be the registry's login server."
    see = "az acr list --query [].loginServer --output tsv"
    if not facts.on_acr:
        remedy = (
            "ACR_LOGIN_SERVER must be the registry and the path in it. If it asks for a login, the "
            "ImageRepository needs a secretRef (clusters/README.md)."
        )
        see = f"kubectl --namespace {FLUX} get imagerepository {BOT} --output yaml"
    rescan = f"flux reconcile image repository {BOT}"
    return condition_problem(found, "Flux cannot read the registry", remedy, see, rescan) or ok(
        _short(r"found \d+ tags", found.message) or f"Flux reads {found.target}"
    )


def policy(facts: Facts) -> CheckResult:
    """Whether one of the tags is chosen."""
    found = facts.object("ImagePolicy", BOT)
    if found is None:
        return _missing("ImagePolicy")
    if found.ready == "False" and (excluded := _all_excluded(facts)):
        return excluded
    return condition_problem(
        found,
        f"The image policy matches no tag (it wants {found.target})",
        "Tags are main-<number>-<seven hex digits>: see which there are, and whether the policy is "
        "the one in clusters/production/images. If there are none, run the image workflow.",
        f"az acr repository show-tags --name {facts.registry} --repository {images.REPOSITORY}"
        if facts.on_acr
        else f"flux get images all --namespace {FLUX}",
        f"flux reconcile kustomization {BOT}-images --with-source",
        "gh workflow run image.yaml --ref main",
    ) or ok(_short(r"resolved to (\S+)", found.message) or "a tag is chosen")


def _all_excluded(facts: Facts) -> CheckResult | None:
    """Return a result if the rollback guard excludes every image that there is."""
    tags = facts.azure.tags if facts.azure else None
    if tags is not None:
        excluded = images.all_excluded(tags, facts.exclusions)
        if not excluded:
            return None
        return broken(images.explain_all_excluded(excluded), images.REMEDY, *images.REBUILD)
    # Without az: Flux counts the tags that are not excluded.
    repository = facts.object("ImageRepository", BOT)
    expressions = images.exclusions(facts.exclusions)
    if not (expressions and repository and re.search(r"found 0 tags", repository.message)):
        return None
    return broken(
        "Flux finds no tag that is not excluded, and the rollback guard excludes some: "
        f"{', '.join(expressions)}",
        "If those are all there are, main was rolled back to an image that this registry does not "
        f"have. {images.REMEDY}",
        *images.REBUILD,
    )


def automation(facts: Facts) -> CheckResult:
    """Whether the automation may push what it chose."""
    found = facts.object("ImageUpdateAutomation", BOT)
    if found is None:
        return _missing("ImageUpdateAutomation")
    if found.ready == "False" and _RULES.search(found.message):
        return broken(
            f"A ruleset keeps the automation from pushing to main: {found.message}",
            "Add 'Deploy keys' to the bypass list of that ruleset (GitHub, Settings, Rules).",
            "gh ruleset check main",
            f"flux reconcile image update {BOT}",
        )
    refused = _PUSH.search(found.message) and not _FAST_FORWARD.search(found.message)
    if found.ready == "False" and refused:
        return broken(
            f"The automation may not push to main: {found.message}",
            "The deploy key in the Secret flux-system must have write access; set-up creates one.",
            "gh repo deploy-key list",
            AGAIN,
            f"flux reconcile image update {BOT}",
        )
    return condition_problem(
        found,
        "The automation cannot write the tag into Git",
        "Fix what it names.",
        f"flux reconcile image update {BOT}",
    ) or ok(found.message or "it pushes")


def current(facts: Facts) -> CheckResult:
    """Whether what runs was built from what main has now."""
    github = facts.github
    if github is None:
        return _without_github(facts)
    if github.runs_main is None:
        return unknown("what the running image was built from could not be compared with main")
    if github.runs_main:
        return ok("it was built from what main has now")
    return _behind(facts, github)


def _behind(facts: Facts, github: GitHub) -> CheckResult:
    """Return why main has a change to the bot that does not run."""
    build = github.build
    if build is None or build.of_main is False:
        return _never_built(github)
    if build.status != "completed":
        return ok(f"main is newer, and its image is being built: {build.url}")
    if build.conclusion != "success":
        return broken(
            f"main is newer, and its image could not be built ({build.conclusion}): {build.url}",
            "Fix what the run names; the bot keeps running the older image meanwhile.",
            f"gh run view --log-failed --repo {github.repository} {build.url.rpartition('/')[2]}",
        )
    if images.exclusions(facts.exclusions):
        return ok("main is newer, and its image was rolled back; the next merge deploys")
    return unknown(
        "main is newer, and its image was built: Flux deploys it within a minute",
        "If it does not, see what it chose:",
        f"flux get images all --namespace {FLUX}",
    )


def _never_built(github: GitHub) -> CheckResult:
    return broken(
        "main has a change to the bot that no image was built from: the image workflow did not run "
        "for it. A commit message with a directive such as [skip ci] prevents that.",
        "Run the workflow; Flux deploys the image.",
        f"gh workflow run image.yaml --ref main --repo {github.repository}",
    )


def _short(pattern: str, message: str) -> str:
    found = re.search(pattern, message)
    return found[found.re.groups] if found else ""


def _missing(kind: str) -> CheckResult:
    return broken(
        f"There is no {kind} {BOT}.",
        "The Kustomization discord-sky-images creates it.",
        f"flux reconcile kustomization {BOT}-images --with-source",
    )


_MINUTE = 60
_NETWORK = re.compile(r"\blookup [\w.-]+|dial tcp|i/o timeout|connection refused|deadline exceeded")
_NO_SECRET = re.compile(r"secret.*not found|no address|failed to read secret", re.IGNORECASE)
_UNKNOWN_COMMIT = re.compile(r"No commit found|\b422\b")
_WAY_OUT = (
    "kubectl --namespace kube-system logs --selector k8s-app=kube-dns --tail 20",
    "kubectl get networkpolicies --all-namespaces",
)
_NEW_CREDENTIAL = {
    "discord": (
        (
            "Discord does not take the webhook: it was deleted, or its address is wrong. Create "
            "one in the channel's settings, Integrations, and put its address into webhook.txt."
        ),
        "--discord-webhook webhook.txt",
    ),
    "github": (
        (
            "GitHub does not take the token: it has expired or was revoked, or it may not write "
            "commit statuses of this repository. Create a fine-grained one with the permission "
            '"Commit statuses: write", and put it into token.txt.'
        ),
        "--status-token token.txt",
    ),
    "rollback": (
        (
            "GitHub does not take the token, so nothing goes back by itself: it has expired or was "
            "revoked, or it may not dispatch to this repository. Create a fine-grained one with "
            'the permission "Contents: read and write", and put it into dispatch.txt.'
        ),
        "--dispatch-token dispatch.txt",
    ),
}
_NEW_CREDENTIAL["discord-failed"] = _NEW_CREDENTIAL["discord"]


def alerts(facts: Facts) -> CheckResult:
    """Whether the alerts that are turned on were delivered.

    Flux keeps no condition for an Alert or a Provider; a failed delivery is an Event of the Alert,
    which Kubernetes keeps for an hour.
    """
    turned_on = [one for one in facts.flux if one.kind == "Alert"]
    if facts.could_not_be_read("alerts"):
        return unknown("alerts cannot be read with this login")
    if not turned_on:
        return ok("alerts are off")
    suspended = next((one for one in turned_on if one.suspended), None)
    if suspended:
        return broken(
            f"Alert {suspended.name} is suspended: somebody stopped it.",
            "Find out who and why, then resume it.",
            f"flux resume alert {suspended.name}",
        )
    return _delivered({one.name for one in turned_on}, facts)


def _delivered(names: set[str], facts: Facts) -> CheckResult:
    """Return whether what was told in the last hour arrived where the Alerts NAMES tell it."""
    failed = [one for one in facts.failed_alerts if one.alert in names]
    results = [_undelivered(one, facts) for one in failed if not one.credential_changed]
    if results:
        return min(results, key=lambda one: one.status is not Status.BROKEN)
    if failed:
        return unknown(
            f"alerts to {failed[0].alert} failed, and its Secret was changed after that: the next "
            "deploy shows whether they arrive"
        )
    if facts.could_not_be_read("events of alerts"):
        return unknown("whether alerts arrive cannot be read with this login")
    return ok(f"{' and '.join(sorted(names))}: none failed in the last hour")


def _undelivered(failed: FailedAlert, facts: Facts) -> CheckResult:
    ago = f"{failed.age / _MINUTE:.0f} minutes ago" if failed.age >= _MINUTE else "just now"
    summary = f"Alerts to {failed.alert} do not arrive; the last one failed {ago}: {failed.message}"
    events = f"flux events --namespace {FLUX} --for Alert/{failed.alert}"
    if _NETWORK.search(failed.message):
        # It may be over: an alert that arrives leaves no Event.
        remedy = "The cluster did not reach the host: look at its DNS, and at what closes the way."
        return unknown(summary, remedy, *_WAY_OUT, events)
    if failed.alert == "github" and _UNKNOWN_COMMIT.search(failed.message):
        return broken(
            summary,
            f"GitHub does not know the commit: `address` in the Secret {SECRETS['github']} must be "
            "the repository that Flux follows. Set-up writes it, with the token from a file.",
            _set_up("--status-token token.txt", facts),
            events,
        )
    if failed.alert not in _NEW_CREDENTIAL:
        return broken(summary, "Fix what it names: the Provider, or its Secret.", events)
    remedy, options = _NEW_CREDENTIAL[failed.alert]
    if _NO_SECRET.search(failed.message):
        remedy = f"Set-up writes the Secret {SECRETS[failed.alert]} from a file."
    return broken(summary, remedy, _set_up(options, facts), events)


def _set_up(options: str, facts: Facts) -> str:
    name = facts.names.get("NAME")
    named = f"--name {name} {options}" if name else options
    return again(None).replace("make azure", f'make azure ARGS="{named}"', 1)
