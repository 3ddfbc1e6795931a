"""Before anything is made: programs, login, permissions, the repository, and consent."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clusters.azure.prices import table
from clusters.azure.runner import PROGRAMS, ROOT, Command, CommandFailed, NotInstalled, Stop, az, gh
from clusters.azure.state import NAMED
from clusters.azure.steps.azure import REGISTRY
from clusters.azure.steps.catalog import PAID
from clusters.azure.steps.cluster import CLUSTER
from clusters.azure.steps.github import (
    GUARD_WORKFLOWS,
    IMAGE_WORKFLOW,
    WORKFLOWS,
    deploy_key_obstacles,
    workflow_states,
)
from clusters.azure.steps.model import get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner
    from clusters.azure.steps.model import Step, StepState


# Each program: how to ask for its version, the oldest supported one, where to get it.
_PROGRAMS = (
    ("az", az("version", subscription=False), (2, 85, 0), "https://aka.ms/installazurecli"),
    ("kubectl", Command(("kubectl", "version", "--client")), (1, 31, 0), "az aks install-cli"),
    ("flux", Command(("flux", "version", "--client")), (2, 9, 0), "https://fluxcd.io/flux/cmd"),
    ("gh", gh("version"), (2, 60, 0), "https://cli.github.com"),
)
_OWN_ACTIONS = (
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.ManagedIdentity/userAssignedIdentities/write",
    "Microsoft.Authorization/roleAssignments/write",
)
# For a cluster and a registry: to create one, and to use an existing one.
_CLUSTER_ACTIONS = (
    ("Microsoft.ContainerService/managedClusters/write",),
    ("Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",),
)
_REGISTRY_ACTIONS = (
    ("Microsoft.ContainerRegistry/registries/write",),
    ("Microsoft.Authorization/roleAssignments/write",),
)


def check_versions(runner: Runner) -> None:
    """Raise Stop, naming every program that is missing or too old."""
    lacking: list[str] = []
    for program, command, oldest, source in _PROGRAMS:
        wanted = ".".join(str(part) for part in oldest)
        needed = f"{wanted} or newer is needed: {source}"
        try:
            done = runner.attempt(command)
        except NotInstalled:
            lacking.append(f"{program} is not installed; {needed}")
            continue
        if done is None:
            continue
        found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout)
        have = tuple(int(part) for part in found.groups()) if found else ()
        if have < oldest:
            shown = ".".join(str(part) for part in have) or "of no known version"
            lacking.append(f"{program} is {shown}; {needed}")
            continue
        runner.say(f"  {program} {'.'.join(str(part) for part in have)}")
    if lacking:
        raise Stop("\n".join((*lacking, f"Everything that set-up needs: {PROGRAMS}")))


def read_account(runner: Runner) -> None:
    """Learn subscription and directory. Raises Stop if nobody is logged in."""
    wanted = runner.values.get("AZURE_SUBSCRIPTION_ID")
    choice = "--subscription $AZURE_SUBSCRIPTION_ID" if wanted else ""
    seen = runner.query(az(f"account show {choice}", subscription=False))
    if seen is None:
        runner.values["CALLER_KIND"] = "User"
        return
    runner.values["AZURE_SUBSCRIPTION_ID"] = seen["id"]
    runner.values["AZURE_TENANT_ID"] = seen["tenantId"]
    runner.say(f"  subscription {seen['name']}, as {seen['user']['name']}")
    runner.values["CALLER_KIND"] = "User" if seen["user"]["type"] == "user" else "ServicePrincipal"
    runner.values["CALLER_NAME"] = seen["user"]["name"]


def read_caller(runner: Runner) -> None:
    """Learn the object id of the person or service that is logged in; it gets to set secrets."""
    if runner.dry_run or runner.values["CALLER_KIND"] == "User":
        seen = runner.query(az("ad signed-in-user show", subscription=False))
    if runner.dry_run or runner.values["CALLER_KIND"] != "User":
        seen = runner.query(az("ad sp show --id $CALLER_NAME", subscription=False))
    if seen is not None:
        runner.values["CALLER_PRINCIPAL_ID"] = seen["id"]


def check_permissions(runner: Runner, *, group: bool, cluster: bool, registry: bool) -> None:
    """Raise Stop if the caller lacks a permission. GROUP, CLUSTER, REGISTRY: which exist."""
    needed: dict[str, tuple[str, ...]] = {runner.values["RESOURCE_GROUP"]: _OWN_ACTIONS}
    for value, there, actions in (
        ("AKS_RESOURCE_GROUP", cluster, _CLUSTER_ACTIONS),
        ("ACR_RESOURCE_GROUP", registry, _REGISTRY_ACTIONS),
    ):
        where = runner.values[value]
        needed[where] = (*needed.get(where, ()), *actions[there])
    for where, actions_there in needed.items():
        exists = group or where != runner.values["RESOURCE_GROUP"]
        _check_permissions(runner, f"/resourceGroups/{where}" if exists else "", actions_there)


def _check_permissions(runner: Runner, scope: str, needed: tuple[str, ...]) -> None:
    """Raise Stop, naming the roles that suffice, if the caller lacks a permission in SCOPE."""
    seen = runner.query(
        az(
            f"rest --method get --url /subscriptions/$AZURE_SUBSCRIPTION_ID{scope}/providers/"
            "Microsoft.Authorization/permissions?api-version=2022-04-01",
            subscription=False,
        )
    )
    if seen is None:
        return
    lacking = [action for action in needed if not _may(seen["value"], action)]
    if lacking:
        where = f" in {scope.removeprefix('/resourceGroups/')}" if scope else ""
        raise Stop(
            f"{runner.values['CALLER_NAME']} lacks permissions{where}: {', '.join(lacking)}.\n"
            "The role Owner suffices, on the subscription or on each resource group that is used; "
            "so does Contributor with Role Based Access Control Administrator."
        )


def _may(granted: Any, action: str) -> bool:
    """Apply Azure's rule: some grant allows the action and does not exclude it itself."""
    return any(
        _matches(one["actions"], action) and not _matches(one["notActions"], action)
        for one in granted
    )


def _matches(patterns: list[str], action: str) -> bool:
    return any(fnmatch.fnmatch(action.lower(), pattern.lower()) for pattern in patterns)


def find_repository(runner: Runner, followed: str) -> None:
    """Learn which repository it is: the one that was named, or this checkout's.

    Raises Stop if that is not FOLLOWED, which this set-up was made for: its keys are there.
    """
    wanted = "$GITHUB_REPOSITORY" if "GITHUB_REPOSITORY" in runner.values else ""
    seen = runner.query(gh(f"repo view {wanted} --json nameWithOwner"))
    if seen is not None:
        runner.values["GITHUB_REPOSITORY"] = seen["nameWithOwner"]
        runner.say(f"  repository {seen['nameWithOwner']}")
        _refuse_another_repository(runner, followed)


def _refuse_another_repository(runner: Runner, followed: str) -> None:
    named = runner.values["GITHUB_REPOSITORY"]
    if not followed or followed.lower() == named.lower():
        return
    seen = runner.query(gh("api repos/$FOLLOWED"), FOLLOWED=followed)
    if seen is None or seen["full_name"].lower() == named.lower():
        return  # deleted, or renamed since
    name = runner.values["NAME"]
    raise Stop(
        f"The set-up {name} was made for {seen['full_name']}, where its deploy keys and "
        f"variables are, and not for {named}. For another bot give it another name: --name. "
        f"To move this one, remove it first: make azure-teardown ARGS='--name {name} "
        f"--repository {seen['full_name']}'"
    )


_ACTIONS_PERMISSIONS = gh("api repos/$GITHUB_REPOSITORY/actions/permissions")


def check_repository(runner: Runner) -> None:
    """Learn the subject of the repository's OIDC tokens. Raises Stop if GitHub would refuse later.

    Everything that can be read is read here, before anything is made or paid for.
    """
    repo = runner.query(gh("api repos/$GITHUB_REPOSITORY"))
    setting = runner.query(gh("api repos/$GITHUB_REPOSITORY/actions/oidc/customization/sub"))
    if repo is None:  # a dry run: it shows the queries that the real one makes
        runner.query(_ACTIONS_PERMISSIONS)
        workflow_states(runner)
        deploy_key_obstacles(runner)
        return
    name, page = repo["full_name"], f"https://github.com/{repo['full_name']}"
    if not repo["permissions"].get("admin"):
        raise Stop(
            f"You are not an admin of {name}, and only admins may add deploy keys. If that is not "
            "the repository you mean, name yours: --repository OWNER/NAME."
        )
    if repo["archived"]:
        raise Stop(f"{name} is archived, so nothing can be pushed to it: {page}/settings.")
    if repo["default_branch"] != "main":
        raise Stop(f"The default branch of {name} is not main.")
    _check_owner(runner, repo)
    _check_actions(runner, repo)
    _check_workflows(runner, repo)
    if obstacles := deploy_key_obstacles(runner):
        raise Stop("\n".join(obstacles))
    given = runner.values.get("CI_SUBJECT_GIVEN")
    runner.values["CI_SUBJECT"] = given or subject(repo, setting or {})


def _check_owner(runner: Runner, repo: Any) -> None:
    """Raise Stop if the owner's plan has no environments, or the owner forbids deploy keys."""
    owner = repo["owner"]
    is_user = owner["type"] == "User"
    try:
        seen = runner.query(gh("api user" if is_user else f"api orgs/{owner['login']}"))
    except CommandFailed:  # the token may not ask
        return
    if get_path(seen, "login") != owner["login"]:
        return
    # Both are shown only to logins that may read them.
    if repo["private"] and get_path(seen, "plan.name") == "free":
        raise Stop(
            f"{repo['full_name']} is private and {owner['login']} is on GitHub's free plan, which "
            "has no environments for private repositories: the rollback guard needs one. Make the "
            "repository public, or take GitHub Pro or Team."
        )
    if get_path(seen, "deploy_keys_enabled_for_repositories") is False:
        raise Stop(
            f"The organization {owner['login']} forbids deploy keys; Flux and the rollback guard "
            "need one each. An owner of the organization can allow them: "
            f"https://github.com/organizations/{owner['login']}/settings, Deploy keys."
        )


def _check_actions(runner: Runner, repo: Any) -> None:
    """Raise Stop if GitHub Actions are off, or may not use what the workflows use."""
    seen = runner.query(_ACTIONS_PERMISSIONS)
    where = f"https://github.com/{repo['full_name']}/settings/actions"
    if not seen["enabled"]:
        raise Stop(
            f"GitHub Actions are disabled for {repo['full_name']}; they build the image and run "
            f"the rollback guard. Enable them: {where}, Actions permissions."
        )
    allowed = seen.get("allowed_actions", "all")
    if allowed == "all":
        return
    selected: Any = {"github_owned_allowed": False, "patterns_allowed": []}
    if allowed == "selected":
        address = "api repos/$GITHUB_REPOSITORY/actions/permissions/selected-actions"
        selected = runner.query(gh(address)) or selected
    refused = [action for action in _used_actions() if not _is_allowed(action, selected)]
    if refused:
        raise Stop(
            f"The Actions permissions of {repo['full_name']} do not allow {', '.join(refused)}, "
            f"which its workflows use. Allow them: {where}, Actions permissions."
        )


def _used_actions() -> list[str]:
    """Return the actions that the bot's workflows use, as OWNER/NAME, from this checkout."""
    files = (ROOT / ".github/workflows" / name for name in WORKFLOWS)
    text = "\n".join(file.read_text() for file in files if file.exists())
    return sorted(set(re.findall(r"uses: +([\w.-]+/[\w.-]+)", text)))


def _is_allowed(action: str, selected: Any) -> bool:
    """Apply GitHub's rule. Which creators are verified it does not tell, so they count as such."""
    if (
        action.split("/", maxsplit=1)[0] in {"actions", "github"}
        and selected["github_owned_allowed"]
    ):
        return True
    patterns = [pattern.partition("@")[0] for pattern in selected["patterns_allowed"]]
    matches = any(fnmatch.fnmatch(f"{action}/", pattern.rstrip("/") + "/") for pattern in patterns)
    return matches or bool(selected.get("verified_allowed"))


def _check_workflows(runner: Runner, repo: Any) -> None:
    """Raise Stop if GitHub does not know the workflows: not pushed, or never enabled in a fork."""
    states = workflow_states(runner) or {}
    missing = [name for name in (IMAGE_WORKFLOW, GUARD_WORKFLOWS[0]) if name not in states]
    if not missing:
        return
    path = f".github/workflows/{missing[0]}"
    if runner.query(gh(f"api repos/$GITHUB_REPOSITORY/contents/{path}?ref=main")) is None:
        raise Stop(
            f"main of {repo['full_name']} on GitHub has no {path}. Push this checkout's main "
            "first: git push origin main."
        )
    raise Stop(
        f"GitHub does not run the workflows of {repo['full_name']}: in a fork they have to be "
        f"enabled once. Open https://github.com/{repo['full_name']}/actions and click "
        "'I understand my workflows, go ahead and enable them'."
    )


def check_node_size(runner: Runner) -> None:
    """Raise Stop if the node's size is not available, or exceeds the quota, in the region."""
    where = "--location $AZURE_LOCATION"
    skus = runner.query(
        az(f"vm list-skus {where} --size $NODE_SIZE --resource-type virtualMachines --all")
    )
    usage = runner.query(az(f"vm list-usage {where}"))
    if skus is None or usage is None:
        return
    wanted, region = runner.values["NODE_SIZE"], runner.values["AZURE_LOCATION"]
    found = next((one for one in skus if one["name"] == wanted), None)
    if found is None or any(one["type"] == "Location" for one in found["restrictions"]):
        raise Stop(
            f"{wanted} is not available in {region} for this subscription: choose another region "
            "with --location, or another size with --node-size."
        )
    cores = next(int(one["value"]) for one in found["capabilities"] if one["name"] == "vCPUs")
    for one in usage:
        left = int(one["limit"]) - int(one["currentValue"])
        if one["name"]["value"] in {found["family"], "cores"} and left < cores:
            raise Stop(
                f"{wanted} needs {cores} vCPUs and {left} are left of {one['limit']} "
                f"({one['name']['localizedValue']}, {region}). Ask for more in Azure's portal, "
                "Subscriptions, Usage + quotas; or choose another region with --location."
            )


_MAIN_REF = "ref:refs/heads/main"
_DEFAULT_CLAIMS = ["repo", "context"]


def subject(repository: Any, setting: Any) -> str:
    """Return the subject of main's OIDC tokens, from what GitHub's API says of the repository.

    It contains ids if the repository was created or renamed since July 2026, and may contain them
    otherwise. Raises Stop if the repository has a template of its own.
    """
    claims = setting.get("include_claim_keys") or []
    if not setting.get("use_default", True) and claims != _DEFAULT_CLAIMS:
        raise Stop(
            "The OIDC subjects of this repository follow a template of its own "
            f"({', '.join(claims) or 'of its organization'}). Pass the subject of its tokens for "
            "main: --ci-subject SUBJECT."
        )
    return f"{setting.get('sub_claim_prefix') or _subject_prefix(repository, setting)}:{_MAIN_REF}"


def _subject_prefix(repository: Any, setting: Any) -> str:
    if not setting.get("use_immutable_subject"):
        return f"repo:{repository['full_name']}"
    owner = repository["owner"]
    return f"repo:{owner['login']}@{owner['id']}/{repository['name']}@{repository['id']}"


# Each step: the value that has it created nevertheless, and how to list what exists.
_MAY_EXIST = {
    CLUSTER: ("MAKE_CLUSTER", "az aks list --output table"),
    REGISTRY: ("MAKE_REGISTRY", "az acr list --output table"),
}


def is_existing(runner: Runner, step: Step) -> bool:
    """Return whether the person named an existing resource for STEP."""
    return (
        step in _MAY_EXIST
        and step.name in runner.named
        and _MAY_EXIST[step][0] not in runner.values
    )


def refuse_missing(runner: Runner, found: Mapping[Step, StepState]) -> None:
    """Raise Stop if a resource that was named does not exist: a typo must not cost money."""
    for step, (_, lister) in _MAY_EXIST.items():
        if is_existing(runner, step) and not found[step].exists and not runner.dry_run:
            raise Stop(
                f"There is no {step.name} {runner.values[NAMED[step.name]]}, and --{step.name} "
                f"names an existing one. To create it under that name, add --make-{step.name}. "
                f"To list what exists: {lister}"
            )


Confirm = Callable[[str], bool]
_PLACES = {
    "azure": "Azure, region $AZURE_LOCATION, resource group $RESOURCE_GROUP",
    "cluster": "the cluster $AKS_NAME",
    "github": "GitHub, in $GITHUB_REPOSITORY",
}


def confirm(runner: Runner, steps: list[Step], ask: Confirm) -> None:
    """Show what STEPS may create and what that costs, then ask. Raises Stop if refused."""
    runner.say("\nThis will be created, at most; what already exists is used as it is:")
    for place, where in _PLACES.items():
        names = ", ".join(step.name for step in steps if step.place == place and step.create)
        runner.say(f"  {runner.fill(where)}: {names}")
    paid = [step for step in PAID if step in steps]
    if paid:
        runner.say("\nThis costs, for as long as it exists:")
        runner.say(table(paid, runner.values["NODE_SIZE"], runner.values["AZURE_LOCATION"]))
        runner.say(
            "`make azure-teardown` ends it. How it was calculated: clusters/azure/README.md."
        )
    else:
        runner.say("\nOnly the vault costs anything: a few cents a month.")
    if not runner.dry_run and not ask("Create it?"):
        raise Stop("Nothing was created.")
