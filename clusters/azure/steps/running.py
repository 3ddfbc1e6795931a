"""The last steps: the first secrets, the first image, and the bot that runs with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusters.azure.runner import CommandFailed, Stop, az, flux, gh, python
from clusters.azure.steps.azure import REGISTRY
from clusters.azure.steps.github import claim, made_here
from clusters.azure.steps.kubernetes import IMAGE_REPOSITORY, KUSTOMIZATION, get_object, is_ready
from clusters.azure.steps.model import Step, StepState, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


_SECRETS = ("discord-token", "openai-api-key")
# With the bot's own settings: they say where its model is, and so where a key is tried.
INTO = (
    "--config apps/discord-sky/config.toml --no-bot "
    "--vault https://${KEYVAULT_NAME}.vault.azure.net"
)
_FAILED = {"failure", "cancelled", "timed_out", "startup_failure"}
_IMAGE = "discordskybot"


def _names_of_secrets(runner: Runner) -> set[str] | None:
    """Which secrets the vault has; None while it does not let us look."""
    try:
        listed = runner.query(az("keyvault secret list --vault-name $KEYVAULT_NAME"))
    except CommandFailed as failed:
        # A role counts some minutes after it was given, a new vault's name some seconds after it
        # was made.
        if any(words in failed.said for words in ("Forbidden", "resolve", "not known")):
            return None
        raise
    return {one["name"] for one in listed or ()}


def _may_look(runner: Runner) -> bool:
    return _names_of_secrets(runner) is not None


def _check_secrets(runner: Runner) -> StepState:
    runner.wait_until("your role on the vault counts", lambda: _may_look(runner), minutes=15)
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
    """List the tags of the bot's images; None if the registry has none of them at all."""
    shown = runner.query(az(f"acr repository show-tags --name $ACR_NAME --repository {_IMAGE}"))
    return None if shown is None else [str(tag) for tag in shown]


def _has_image(runner: Runner) -> bool:
    return any(tag.startswith("main-") for tag in _tags(runner) or ())


def _newest_run(runner: Runner) -> Any:
    runs = runner.query(
        gh(
            "run list --repo $GITHUB_REPOSITORY --workflow image.yaml --branch main --limit 1 "
            "--json status,conclusion,url"
        )
    )
    return runs[0] if runs else {}


def _build_image(runner: Runner) -> None:
    theirs = "registry" in runner.named if runner.dry_run else not REGISTRY.check(runner).owned
    if theirs and _tags(runner) is None:
        # What is pushed into somebody else's registry has no mark.
        runner.comment(
            "only if this set-up did not make the registry, and it has no image of the bot:"
        )
        claim(runner, {"images"})
    earlier = _newest_run(runner)
    if earlier.get("status", "completed") == "completed":
        runner.run(gh("workflow run image.yaml --repo $GITHUB_REPOSITORY --ref main"))
    else:
        earlier = {}  # one is at work already: that one is waited for

    def built() -> bool:
        if _has_image(runner):
            return True
        run = _newest_run(runner)
        # A new run is listed some seconds after it was asked for.
        new = run.get("url") != earlier.get("url")
        if new and run.get("conclusion") in _FAILED:
            raise Stop(
                f"The image workflow ended with {run['conclusion']}: {run['url']}\n"
                "Mend that and run this again; or build by hand (README.md, On Azure)."
            )
        return False

    runner.wait_until("the first image is in the registry", built, minutes=30, every=15)


def _images_are_ours(runner: Runner) -> StepState:
    return StepState(owned="images" in made_here(runner) and _has_image(runner))


IMAGE = Step(
    name="image",
    description="the first image, built and pushed by the image workflow",
    check=lambda runner: StepState(exists=_has_image(runner)),
    create=_build_image,  # goes with a registry of this set-up's
    delete=(az(f"acr repository delete --name $ACR_NAME --repository {_IMAGE} --yes"),),
    check_owned=_images_are_ours,
    duration="5 min",
)


def _bot(runner: Runner) -> Any:
    return get_object(runner, f"{KUSTOMIZATION} discord-sky")


def _start_bot(runner: Runner) -> None:
    def following() -> bool:
        return get_object(runner, f"{IMAGE_REPOSITORY} discord-sky") is not None

    runner.wait_until("Flux has read this repository", following, minutes=5)
    # While the registry was empty, Flux looked less and less often, at last every 15 minutes.
    # Its role may not count yet, so it may take some tries.
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
