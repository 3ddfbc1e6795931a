"""The last steps: the first secrets, the first image, and the bot that runs with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clusters.azure import images
from clusters.azure.runner import CommandFailed, Stop, az, flux, gh, python
from clusters.azure.steps.azure import REGISTRY
from clusters.azure.steps.github import IMAGE_WORKFLOW, REPO, claim, made_images
from clusters.azure.steps.kubernetes import IMAGE_REPOSITORY, KUSTOMIZATION, get_object, is_ready
from clusters.azure.steps.model import Step, StepState, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


_SECRETS = ("discord-token", "openai-api-key")
# With the bot's own settings: they name the model's provider, where the key is tried.
INTO = (
    "--config apps/discord-sky/config.toml --no-bot "
    "--vault https://${KEYVAULT_NAME}.vault.azure.net"
)
# A role assignment takes effect after some minutes, and the name of a new vault is known to DNS
# after some seconds. Whatever else the vault answers does not change by waiting.
_TAKES_TIME = re.compile(
    r"ForbiddenByRbac|Failed to resolve|Name or service not known"
    r"|nodename nor servname provided|getaddrinfo failed|No address associated with hostname"
)


def _names_of_secrets(runner: Runner) -> set[str] | None:
    """Return which secrets the vault has; None while the caller's role does not count yet."""
    try:
        listed = runner.query(az("keyvault secret list --vault-name $KEYVAULT_NAME"))
    except CommandFailed as failed:
        if _TAKES_TIME.search(failed.said):
            return None
        raise
    return {one["name"] for one in listed or ()}


def _check_secrets(runner: Runner) -> StepState:
    runner.wait_until(
        "your role on the vault takes effect",
        lambda: _names_of_secrets(runner) is not None,
        minutes=15,
    )
    return StepState(exists=set(_SECRETS) <= (_names_of_secrets(runner) or set()))


def _set_secrets(runner: Runner) -> None:
    known = _names_of_secrets(runner) or set()
    for name in _SECRETS:
        if name not in known:
            runner.run_interactively(python(f"-m bot secrets set {name} {INTO}"))


SECRETS = Step(
    name="secrets",
    description="the first secrets: Discord's token and OpenAI's key, each tried before it is set",
    check=_check_secrets,
    create=_set_secrets,  # they go with the vault
)


def _tags(runner: Runner) -> list[str] | None:
    """Return the tags of the bot's images; None if the registry has never had one."""
    shown = runner.query(
        az(f"acr repository show-tags --name $ACR_NAME --repository {images.REPOSITORY}")
    )
    return None if shown is None else [str(tag) for tag in shown]


def _has_image(runner: Runner) -> bool:
    return bool(images.deployable(_tags(runner) or ()))


def _newest_run(runner: Runner) -> Any:
    runs = runner.query(
        gh(
            f"run list {REPO} --workflow {IMAGE_WORKFLOW} --branch main --limit 1 "
            "--json status,conclusion,url"
        )
    )
    return runs[0] if runs else {}


def _build_image(runner: Runner) -> None:
    foreign = "registry" in runner.named if runner.dry_run else not REGISTRY.check(runner).owned
    if foreign and _tags(runner) is None:
        # Images carry no mark that says who pushed the first one into somebody else's registry.
        runner.comment(
            "only if this set-up did not create the registry, and it has no image of the bot:"
        )
        claim(runner, {"images"})
    earlier = _newest_run(runner)
    if earlier.get("status", "completed") == "completed":
        runner.run(gh(f"workflow run {IMAGE_WORKFLOW} {REPO} --ref main"))
    else:
        earlier = {}  # one is running already: wait for that one

    def built() -> bool:
        if _has_image(runner):
            return True
        run = _newest_run(runner)
        # A new run is listed some seconds after it was requested.
        if run.get("url") == earlier.get("url") or run.get("status") != "completed":
            return False
        if run["conclusion"] != "success":
            raise Stop(
                f"The image workflow ended with {run['conclusion']}: {run['url']}\n"
                "Fix that and run this again; or build by hand (README.md, On Azure)."
            )
        return False

    runner.wait_until("the first image is in the registry", built, minutes=30, every=15)


def _check_owned_images(runner: Runner) -> StepState:
    return StepState(owned=made_images(runner) and _has_image(runner))


IMAGE = Step(
    name="image",
    description="the first image, built and pushed by the image workflow",
    check=lambda runner: StepState(exists=_has_image(runner)),
    create=_build_image,  # it goes with a registry of this set-up's
    delete=(az(f"acr repository delete --name $ACR_NAME --repository {images.REPOSITORY} --yes"),),
    check_owned=_check_owned_images,
    duration="5 min",
)


def _bot(runner: Runner) -> Any:
    return get_object(runner, f"{KUSTOMIZATION} discord-sky")


def _refuse_all_excluded(runner: Runner) -> None:
    """Raise Stop if no image of the registry can be deployed, since a rollback excluded them."""
    seen = get_object(runner, f"{IMAGE_REPOSITORY} discord-sky")
    patterns = get_path(seen, "spec.exclusionList") or ()
    if excluded := images.all_excluded(_tags(runner) or (), patterns):
        commands = "".join(f"\n    {command}" for command in images.REBUILD)
        raise Stop(
            f"{images.explain_all_excluded(excluded)}\n{images.REMEDY}{commands}\n"
            "Then run this again; it continues from there."
        )


def _start_bot(runner: Runner) -> None:
    def following() -> bool:
        return get_object(runner, f"{IMAGE_REPOSITORY} discord-sky") is not None

    runner.wait_until("Flux has read this repository", following, minutes=5)
    _refuse_all_excluded(runner)
    # While the registry was empty, Flux scanned less and less often, in the end every 15 minutes.
    # Its role may not have taken effect yet, so the first scans may fail.
    scan = flux("reconcile image repository discord-sky -n flux-system")
    runner.wait_until("Flux sees the image", lambda: runner.succeeds(scan), minutes=10, every=20)
    said: list[str] = []

    def ready() -> bool:
        seen = _bot(runner)
        if seen is not None and is_ready(seen):
            return True
        for condition in get_path(seen, "status.conditions") or ():
            if condition["type"] == "Ready" and condition.get("message") not in said:
                said.append(condition.get("message"))
                runner.say(f"  Flux says: {said[-1]}")
        return False

    hint = "`make doctor` names the broken link; then run this again."
    runner.wait_until("the bot is Ready", ready, minutes=15, hint=hint)


def _check_bot(runner: Runner) -> StepState:
    seen = _bot(runner)
    return StepState(exists=seen is not None and is_ready(seen))


BOT_READY = Step(
    name="bot",
    description="the first reconcile, watched until the bot is Ready",
    check=_check_bot,
    create=_start_bot,
    place="cluster",
    duration="2 min",
)
