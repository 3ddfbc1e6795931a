"""The links that the bot itself is: Discord's token, the gateway, the key, readiness. Pure."""

from __future__ import annotations

from clusters.azure.doctor.facts import ACCOUNT, BOT, Bot, Facts, Pod
from clusters.azure.doctor.verdict import Verdict, broken, ok, unseen

_INTENTS = 4014  # Discord's close code
_WRITE = "ask the bot something in Discord"


def token(facts: Facts) -> Verdict:
    """Whether Discord accepts the token."""
    bot = facts.bot
    if bot is None or not bot.metrics:
        return _unheard(facts)
    usable = bot.metrics.get('credential_usable{name="discord"}')
    if usable == 0:
        what = "has no Discord token"
        if bot.metrics.get('credential_present{name="discord"}'):
            what = "shows Discord a token that it refuses"
        return broken(
            f"The bot {what}.",
            "Reset the token in Discord's developer portal (Bot, Reset Token), and set it at once.",
            _rotate(facts, "discord-token"),
        )
    return ok("Discord accepts the token" if _open(bot) else "there is one that was not refused")


def gateway(facts: Facts) -> Verdict:
    """Whether Discord lets the bot in, with the intents that it needs."""
    bot = facts.bot
    if bot is None or not bot.metrics:
        return _unheard(facts)
    if _open(bot):
        return ok("a gateway session is open")
    if bot.login_code == _INTENTS:
        return broken(
            "Discord closes the gateway with 4014: the Message Content Intent is off.",
            "Switch it on: https://discord.com/developers/applications, the application, Bot, "
            "Privileged Gateway Intents. The bot tries again within ten minutes, or at once so:",
            f"kubectl --namespace {BOT} rollout restart deployment {ACCOUNT}",
        )
    if bot.login == "gateway_refused":
        said = f"Discord closes the gateway for good, with {bot.login_code}: {bot.login_remedy}"
        restart = f"kubectl --namespace {BOT} rollout restart deployment {ACCOUNT}"
        return broken(said, "Do what it says, then start the bot anew.", restart)
    said = bot.readyz or "no gateway session is open"
    return broken(
        f"The bot is not connected to Discord: {said}.",
        "It tries again by itself. Its log says what it meets; https://discordstatus.com says "
        "whether it is Discord.",
        f"kubectl --namespace {BOT} logs {bot.pod} --tail 20",
    )


def key(facts: Facts) -> Verdict:
    """Whether the model's provider accepts the key."""
    bot = facts.bot
    if bot is None or not bot.metrics:
        return _unheard(facts)
    if bot.metrics.get('credential_usable{name="openai"}') == 0:
        present = bot.metrics.get('credential_present{name="openai"}')
        refused = "The model's provider refuses the bot's key."
        return broken(
            refused if present else "The bot has no key for the model's provider.",
            "Make a new key (https://platform.openai.com/api-keys), and set it.",
            _rotate(facts, "openai-api-key"),
        )
    answered = bot.metrics.get('model_requests_total{outcome="ok"}', 0)
    if answered:
        return ok(f"{answered:.0f} requests were answered")
    check = (
        f".venv/bin/python -m bot secrets check --vault https://{facts.setting('KEYVAULT_NAME')}"
    )
    return unseen(
        "nobody has asked the bot since it started, so the key was not tried",
        f"To try it, {_WRITE}, or:",
        f"{check}.vault.azure.net",
    )


def ready(facts: Facts) -> Verdict:
    """Whether the newest pod is Ready, and Flux content."""
    pod, bot = facts.newest, facts.bot
    if pod is None:
        return _unheard(facts)
    if not pod.ready:
        why = bot.readyz if bot and bot.readyz else "its readiness probe does not say"
        return broken(
            f"Pod {pod.name} is not Ready after {pod.age:.0f} s: {why}.",
            "A pod that has just started needs about five seconds; watch it, or read its log.",
            f"kubectl --namespace {BOT} rollout status deployment {ACCOUNT}",
            f"kubectl --namespace {BOT} logs {pod.name} --tail 20",
        )
    found = facts.object("Kustomization", BOT)
    if found and found.ready == "False":
        return broken(
            f"Flux gave the last rollout up: {found.message}",
            "If the pod is well by now, let Flux look again.",
            f"flux reconcile kustomization {BOT}",
        )
    return ok(f"{pod.name} is Ready")


def _open(bot: Bot) -> bool:
    return bot.metrics.get("gateway_open") == 1


def _rotate(facts: Facts, secret: str) -> str:
    if not facts.key_vault:
        return "kubectl apply --filename apps/discord-sky/plain-secret/secret.yaml"
    vault = f"https://{facts.setting('KEYVAULT_NAME')}.vault.azure.net"
    return f".venv/bin/python -m bot secrets rotate {secret} --vault {vault}"


def _unheard(facts: Facts) -> Verdict:
    pod: Pod | None = facts.newest
    if pod is None:
        return unseen("there is no pod to ask")
    return unseen(f"pod {pod.name} could not be asked", "Its log may tell.", _log(pod))


def _log(pod: Pod) -> str:
    return f"kubectl --namespace {BOT} logs {pod.name} --tail 20"
