"""The servers that stand in for Discord, OpenAI and Azure, and the credentials they accept."""

import base64
import json
import secrets

from tests.loop.cluster import pki
from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec, python

_BOT_ID = 1_000_000_000_000_000_001


def new_token() -> str:
    """Make a token of Discord's form."""
    user = base64.urlsafe_b64encode(str(_BOT_ID).encode()).decode().rstrip("=")
    return f"{user}.{secrets.token_urlsafe(5)[:6]}.{secrets.token_urlsafe(29)[:38]}"


def new_key() -> str:
    """Make a key of OpenAI's form."""
    return f"sk-loop-{secrets.token_urlsafe(32)}"


def write_credentials() -> None:
    """Make a token, a key, and an operator's secret; new at each `up`."""
    state.DISCORD_TOKEN_FILE.parent.mkdir(mode=0o700)
    for path, value in (
        (state.DISCORD_TOKEN_FILE, new_token()),
        (state.OPENAI_KEY_FILE, new_key()),
        (state.GITHUB_TOKEN_FILE, f"github_pat_{secrets.token_urlsafe(48)}"),
        (state.GITHUB_DISPATCH_TOKEN_FILE, f"github_pat_{secrets.token_urlsafe(48)}"),
    ):
        path.touch(mode=0o600)
        path.write_text(value)
    state.TENANT_FILE.touch(mode=0o600)
    state.TENANT_FILE.write_text(json.dumps(_tenant(), indent=1) + "\n")


def _tenant() -> dict[str, object]:
    """Return who is in Azure: the bot reads by its ServiceAccount, a person writes."""
    subject = f"system:serviceaccount:{state.BOT_NAMESPACE}:discord-sky-bot"
    federation = {"issuer": "https://kubernetes.default.svc", "subject": subject}
    bot = {
        "name": "bot",
        "client_id": state.BOT_CLIENT,
        "roles": ["Key Vault Secrets User"],
        "federations": [federation],
    }
    operator = {
        "name": "operator",
        "client_id": state.OPERATOR_CLIENT,
        "roles": ["Key Vault Secrets Officer"],
        "client_secret": secrets.token_urlsafe(30),
    }
    files = {
        "discord-token": str(state.DISCORD_TOKEN_FILE),
        "openai-api-key": str(state.OPENAI_KEY_FILE),
    }
    return {
        "tenant": state.TENANT,
        "vault": state.VAULT_NAME,
        "identities": [bot, operator],
        "secrets": files,
    }


def discord() -> Spec:
    """Discord's REST API and gateway."""
    return Spec(
        "discord",
        python(
            "tests.servers.discord",
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
            "tests.servers.openai",
            *("--listen", state.OPENAI_LISTEN),
            *("--control", state.OPENAI_CONTROL),
            *("--key-file", state.OPENAI_KEY_FILE),
        ),
        readiness.tcp(state.OPENAI_LISTEN, state.OPENAI_CONTROL),
    )


def github() -> Spec:
    """GitHub's commit statuses, and the events that start workflows."""
    return Spec(
        "github",
        python(
            "tests.servers.github",
            *("--listen", state.GITHUB_LISTEN),
            *("--repository", state.GITHUB_REPOSITORY),
            *("--git", state.GIT_REPOSITORY),
            *("--token-file", state.GITHUB_TOKEN_FILE),
            *("--dispatch-token-file", state.GITHUB_DISPATCH_TOKEN_FILE),
            *("--events", state.GITHUB_EVENTS),
        ),
        readiness.tcp(state.GITHUB_LISTEN),
    )


def vault() -> Spec:
    """Key Vault and Entra's token endpoint."""
    certificate = pki.pair("azure")
    return Spec(
        "vault",
        python(
            "tests.servers.keyvault",
            *("--listen", state.VAULT_PROXY),
            *("--control", state.VAULT_CONTROL),
            *("--tenant", state.TENANT_FILE),
            *("--folder", state.STATE / "vault"),
            *("--certificate", certificate.certificate),
            *("--key", certificate.key),
            *("--issuer-keys", f"{state.API_URL}/openid/v1/jwks"),
            *("--authority", pki.CA),
        ),
        readiness.tcp(state.VAULT_PROXY, state.VAULT_CONTROL),
    )
