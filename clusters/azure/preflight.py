"""Before anything is made: programs, login, permissions, the repository, and consent."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clusters.azure.prices import table
from clusters.azure.runner import PROGRAMS, Command, CommandFailed, NotInstalled, Stop, az, gh
from clusters.azure.state import NAMED
from clusters.azure.steps.azure import REGISTRY
from clusters.azure.steps.catalog import PAID
from clusters.azure.steps.cluster import CLUSTER
from clusters.azure.steps.model import get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner
    from clusters.azure.steps.model import Step, StepState


# Program, how it tells its version, the oldest that will do, where to get it.
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
# Of a cluster and a registry: to make one, and to use one that is there.
_CLUSTER_ACTIONS = (
    ("Microsoft.ContainerService/managedClusters/write",),
    ("Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",),
)
_REGISTRY_ACTIONS = (
    ("Microsoft.ContainerRegistry/registries/write",),
    ("Microsoft.Authorization/roleAssignments/write",),
)


def versions(runner: Runner) -> None:
    """Raise Stop that names every program that is missing or too old."""
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
        raise Stop("\n".join((*lacking, f"What set-up needs, in one table: {PROGRAMS}")))


def account(runner: Runner) -> None:
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


def caller(runner: Runner) -> None:
    """Learn the object id of whoever is logged in: they get the role that sets secrets."""
    if runner.dry_run or runner.values["CALLER_KIND"] == "User":
        seen = runner.query(az("ad signed-in-user show", subscription=False))
    if runner.dry_run or runner.values["CALLER_KIND"] != "User":
        seen = runner.query(az("ad sp show --id $CALLER_NAME", subscription=False))
    if seen is not None:
        runner.values["CALLER_PRINCIPAL_ID"] = seen["id"]


def permissions(runner: Runner, *, group: bool, cluster: bool, registry: bool) -> None:
    """Raise Stop if the caller lacks a permission. The rest: which of the three are there."""
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
    """Raise Stop, with the roles that would do, if the caller lacks a permission there."""
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
            f"{runner.values['CALLER_NAME']} may not{where}: {', '.join(lacking)}.\nThe role Owner "
            "does, on the subscription or on each resource group that is used; or Contributor "
            "with Role Based Access Control Administrator."
        )


def _may(granted: Any, action: str) -> bool:
    """Azure's rule: one grant allows it and does not except it itself."""
    return any(
        _matches(one["actions"], action) and not _matches(one["notActions"], action)
        for one in granted
    )


def _matches(patterns: list[str], action: str) -> bool:
    return any(fnmatch.fnmatch(action.lower(), pattern.lower()) for pattern in patterns)


def repository(runner: Runner, followed: str) -> None:
    """Learn which repository: the one that was named, or this checkout's.

    Raises Stop where that is not FOLLOWED, for which this set-up was made: its keys are there.
    """
    wanted = "$GITHUB_REPOSITORY" if "GITHUB_REPOSITORY" in runner.values else ""
    seen = runner.query(gh(f"repo view {wanted} --json nameWithOwner"))
    if seen is not None:
        runner.values["GITHUB_REPOSITORY"] = seen["nameWithOwner"]
        runner.say(f"  repository {seen['nameWithOwner']}")
        _refuse_another(runner, followed)


def _refuse_another(runner: Runner, followed: str) -> None:
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


def repository_settings(runner: Runner) -> None:
    """Learn the subject of its tokens. Raises Stop if its settings are closed to you."""
    repo = runner.query(gh("api repos/$GITHUB_REPOSITORY"))
    setting = runner.query(gh("api repos/$GITHUB_REPOSITORY/actions/oidc/customization/sub"))
    if repo is None:
        return
    if not repo["permissions"].get("admin"):
        raise Stop(
            f"You are no admin of {repo['full_name']}, which deploy keys need. If that is not the "
            "repository you mean, name yours: --repository OWNER/NAME."
        )
    if repo["default_branch"] != "main":
        raise Stop(f"The default branch of {repo['full_name']} is not main.")
    _environments(runner, repo)
    given = runner.values.get("CI_SUBJECT_GIVEN")
    runner.values["CI_SUBJECT"] = given or subject(repo, setting or {})


def _environments(runner: Runner, repo: Any) -> None:
    """Raise Stop where GitHub is known to have no environments: private, on the free plan."""
    if not repo["private"]:
        return
    owner = repo["owner"]
    account = "api user" if owner["type"] == "User" else f"api orgs/{owner['login']}"
    try:
        seen = runner.query(gh(account))
    except CommandFailed:  # a token that may not ask
        return
    # Somebody else's plan is not shown, and one's own only to a login that may read it.
    if get_path(seen, "login") == owner["login"] and get_path(seen, "plan.name") == "free":
        raise Stop(
            f"{repo['full_name']} is private and {owner['login']} is on GitHub's free plan, which "
            "has no environments for private repositories: the rollback guard needs one. Make the "
            "repository public, or take GitHub Pro or Team."
        )


def size(runner: Runner) -> None:
    """Raise Stop if this subscription cannot have the node in this region."""
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
            f"{wanted} is not to be had in {region} with this subscription: choose another region "
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
    """Derive it from the repository and its own OIDC setting, both as GitHub's API gives them.

    Repositories made or renamed since July 2026 have ids in it, older ones may; a repository may
    also have a template of its own. Raises Stop where the template is another than the usual one.
    """
    claims = setting.get("include_claim_keys") or []
    if not setting.get("use_default", True) and claims != _DEFAULT_CLAIMS:
        raise Stop(
            "This repository makes its OIDC subjects by a template of its own "
            f"({', '.join(claims) or 'of its organization'}). Give the subject that its tokens for "
            "main have: --ci-subject SUBJECT."
        )
    return f"{setting.get('sub_claim_prefix') or _subject_prefix(repository, setting)}:{_MAIN_REF}"


def _subject_prefix(repository: Any, setting: Any) -> str:
    if not setting.get("use_immutable_subject"):
        return f"repo:{repository['full_name']}"
    owner = repository["owner"]
    return f"repo:{owner['login']}@{owner['id']}/{repository['name']}@{repository['id']}"


# Step: the value that says it is to be made all the same, and who lists the others.
_MAY_EXIST = {
    CLUSTER: ("MAKE_CLUSTER", "az aks list --output table"),
    REGISTRY: ("MAKE_REGISTRY", "az acr list --output table"),
}


def meant(runner: Runner, step: Step) -> bool:
    """Tell whether STEP's thing was named, and nobody said that it is to be made."""
    return (
        step in _MAY_EXIST
        and step.name in runner.named
        and _MAY_EXIST[step][0] not in runner.values
    )


def refuse_missing(runner: Runner, found: Mapping[Step, StepState]) -> None:
    """Raise Stop for one that was named and is not there: a slip of the pen is not to cost."""
    for step, (_, lister) in _MAY_EXIST.items():
        if meant(runner, step) and not found[step].exists and not runner.dry_run:
            raise Stop(
                f"There is no {step.name} {runner.values[NAMED[step.name]]}, and a name that you "
                f"give means one that is there. To have it made, say --make-{step.name}. "
                f"Which there are: {lister}"
            )


Confirm = Callable[[str], bool]
_PLACES = {
    "azure": "Azure, region $AZURE_LOCATION, resource group $RESOURCE_GROUP",
    "cluster": "the cluster $AKS_NAME",
    "github": "GitHub, in $GITHUB_REPOSITORY",
}


def confirm(runner: Runner, steps: list[Step], ask: Confirm) -> None:
    """Say what of STEPS may be made, then ask. Raises Stop at a no."""
    runner.say("\nThis will be made, at most; what is there already is used as it is:")
    for place, where in _PLACES.items():
        names = ", ".join(step.name for step in steps if step.place == place and step.create)
        runner.say(f"  {runner.fill(where)}: {names}")
    paid = [step for step in PAID if step in steps]
    if paid:
        runner.say("\nThis will cost, as long as it stands:")
        runner.say(table(paid, runner.values["NODE_SIZE"], runner.values["AZURE_LOCATION"]))
        runner.say("`make azure-teardown` ends it. How it was reckoned: clusters/azure/README.md.")
    else:
        runner.say("\nNothing of it costs by the month but the vault, some cents.")
    if not runner.dry_run and not ask("Make it?"):
        raise Stop("Nothing was made.")
