"""The servers that stand in for Discord and OpenAI, and the credentials that they accept."""

import base64
import secrets

from tests.loop import readiness, state
from tests.loop.process import Spec, python

_BOT_ID = 1_000_000_000_000_000_001


def write_credentials() -> None:
    """Make a token of Discord's form and a key of OpenAI's; both are new at each `up`."""
    user = base64.urlsafe_b64encode(str(_BOT_ID).encode()).decode().rstrip("=")
    token = f"{user}.{secrets.token_urlsafe(5)[:6]}.{secrets.token_urlsafe(29)[:38]}"
    state.DISCORD_TOKEN_FILE.parent.mkdir(mode=0o700)
    for path, value in (
        (state.DISCORD_TOKEN_FILE, token),
        (state.OPENAI_KEY_FILE, f"sk-loop-{secrets.token_urlsafe(32)}"),
    ):
        path.touch(mode=0o600)
        path.write_text(value)


def discord() -> Spec:
    """Discord's REST API and gateway."""
    return Spec(
        "discord",
        python(
            "tests.loop.discord_server",
            *("--listen", state.DISCORD_LISTEN),
            *("--control", state.DISCORD_CONTROL),
            *("--token-file", state.DISCORD_TOKEN_FILE),
            "--seed",
        ),
        readiness.tcp(state.DISCORD_LISTEN, state.DISCORD_CONTROL),
    )


def openai() -> Spec:
    """OpenAI's Responses and Chat Completions."""
    return Spec(
        "openai",
        python(
            "tests.loop.openai_server",
            *("--listen", state.OPENAI_LISTEN),
            *("--control", state.OPENAI_CONTROL),
            *("--key-file", state.OPENAI_KEY_FILE),
        ),
        readiness.tcp(state.OPENAI_LISTEN, state.OPENAI_CONTROL),
    )
