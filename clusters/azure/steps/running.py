"""The last steps: the first secrets, the first image, and the bot that runs with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusters.azure.runner import CommandFailed, Stop, az, flux, gh, python
from clusters.azure.steps.azure import REGISTRY
from clusters.azure.steps.github import claim, made_here
from clusters.azure.steps.kubernetes import IMAGE_REPOSITORY, KUSTOMIZATION, get, is_ready
from clusters.azure.steps.model import Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.runner import Desk


_SECRETS = ("discord-token", "openai-api-key")
# With the bot's own settings: they say where its model is, and so where a key is tried.
INTO = (
    "--config apps/discord-sky/config.toml --no-bot "
    "--vault https://${KEYVAULT_NAME}.vault.azure.net"
)
_FAILED = {"failure", "cancelled", "timed_out", "startup_failure"}
_IMAGE = "discordskybot"


def _names_of_secrets(desk: Desk) -> set[str] | None:
    """Which secrets the vault has; None while it does not let us look."""
    try:
        listed = desk.ask(az("keyvault secret list --vault-name $KEYVAULT_NAME"))
    except CommandFailed as failed:
        # A role counts some minutes after it was given, a new vault's name some seconds after it
        # was made.
        if any(words in failed.said for words in ("Forbidden", "resolve", "not known")):
            return None
        raise
    return {one["name"] for one in listed or ()}


def _may_look(desk: Desk) -> bool:
    return _names_of_secrets(desk) is not None


def _look_at_secrets(desk: Desk) -> Found:
    desk.until("your role on the vault counts", lambda: _may_look(desk), minutes=15)
    return Found(there=set(_SECRETS) <= (_names_of_secrets(desk) or set()))


def _set_secrets(desk: Desk) -> None:
    known = _names_of_secrets(desk) or set()
    for name in _SECRETS:
        if name not in known:
            desk.hand_over(python(f"-m bot secrets set {name} {INTO}"))


SECRETS = Step(
    name="secrets",
    about="the first secrets: Discord's token and OpenAI's key, each tried before it is set",
    look=_look_at_secrets,
    make=_set_secrets,  # they go with the vault
)


def _tags(desk: Desk) -> list[str] | None:
    """List the tags of the bot's images; None if the registry has none of them at all."""
    shown = desk.ask(az(f"acr repository show-tags --name $ACR_NAME --repository {_IMAGE}"))
    return None if shown is None else [str(tag) for tag in shown]


def _has_image(desk: Desk) -> bool:
    return any(tag.startswith("main-") for tag in _tags(desk) or ())


def _newest_run(desk: Desk) -> Any:
    runs = desk.ask(
        gh(
            "run list --repo $GITHUB_REPOSITORY --workflow image.yaml --branch main --limit 1 "
            "--json status,conclusion,url"
        )
    )
    return runs[0] if runs else {}


def _build_image(desk: Desk) -> None:
    theirs = "registry" in desk.named if desk.dry else not REGISTRY.look(desk).ours
    if theirs and _tags(desk) is None:
        # What is pushed into somebody else's registry has no mark.
        desk.remark(
            "only if this set-up did not make the registry, and it has no image of the bot:"
        )
        claim(desk, {"images"})
    earlier = _newest_run(desk)
    if earlier.get("status", "completed") == "completed":
        desk.run(gh("workflow run image.yaml --repo $GITHUB_REPOSITORY --ref main"))
    else:
        earlier = {}  # one is at work already: that one is waited for

    def built() -> bool:
        if _has_image(desk):
            return True
        run = _newest_run(desk)
        # A new run is listed some seconds after it was asked for.
        new = run.get("url") != earlier.get("url")
        if new and run.get("conclusion") in _FAILED:
            raise Stop(
                f"The image workflow ended with {run['conclusion']}: {run['url']}\n"
                "Mend that and run this again; or build by hand (README.md, On Azure)."
            )
        return False

    desk.until("the first image is in the registry", built, minutes=30, every=15)


def _images_are_ours(desk: Desk) -> Found:
    return Found(ours="images" in made_here(desk) and _has_image(desk))


IMAGE = Step(
    name="image",
    about="the first image, built and pushed by the image workflow",
    look=lambda desk: Found(there=_has_image(desk)),
    make=_build_image,  # goes with a registry of this set-up's
    undo=(az(f"acr repository delete --name $ACR_NAME --repository {_IMAGE} --yes"),),
    own=_images_are_ours,
    usually="5 min",
)


def _bot(desk: Desk) -> Any:
    return get(desk, f"{KUSTOMIZATION} discord-sky")


def _start_bot(desk: Desk) -> None:
    def following() -> bool:
        return get(desk, f"{IMAGE_REPOSITORY} discord-sky") is not None

    desk.until("Flux has read this repository", following, minutes=5)
    # While the registry was empty, Flux looked less and less often, at last every 15 minutes.
    # Its role may not count yet, so it may take some tries.
    scan = flux("reconcile image repository discord-sky -n flux-system")
    desk.until("Flux sees the image", lambda: desk.succeeds(scan), minutes=10, every=20)
    said: list[str] = []

    def ready() -> bool:
        seen = _bot(desk)
        if seen is not None and is_ready(seen):
            return True
        for condition in at(seen, "status.conditions") or ():
            if condition["type"] == "Ready" and condition.get("message") not in said:
                said.append(condition.get("message"))
                desk.say(f"  Flux says: {said[-1]}")
        return False

    hint = "`make doctor` names the broken link; then run this again."
    desk.until("the bot is Ready", ready, minutes=15, hint=hint)


def _look_at_bot(desk: Desk) -> Found:
    seen = _bot(desk)
    return Found(there=seen is not None and is_ready(seen))


BOT_READY = Step(
    name="bot",
    about="the first reconcile, watched until the bot is Ready",
    look=_look_at_bot,
    make=_start_bot,
    place="cluster",
    usually="2 min",
)
