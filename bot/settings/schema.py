"""The settings: frozen, typed, read once at the start and passed in.

A TOML file and environment variables give them; a variable wins over the file. Its name is `SKY_`,
then the section and the key in capitals with two underscores between: `SKY_OPENAI__MODEL`.
Reading them is in loading.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.settings.base import HttpUrl, Seconds, SecretName, Section, SocketUrl
from bot.settings.calling import Access, Ambient, Personas
from bot.settings.lease import Lease
from bot.settings.limits import Budget, Limits
from bot.settings.safety import Safety

PREFIX = "SKY_"
SEPARATOR = "__"


class Discord(Section):
    """Where Discord is, and how the bot is called there."""

    api_url: HttpUrl = Field(
        default="https://discord.com/api/v10", description="Discord's REST API"
    )
    gateway_url: SocketUrl = Field(
        default="wss://gateway.discord.gg", description="Discord's gateway"
    )
    token_file: Path = Field(
        default=Path("/secrets/discord/discord-token"),
        description="The file that holds the bot's token",
    )
    command: str = Field(
        default="!sky",
        pattern=r"^\S+$",
        max_length=32,
        description="What a message begins with to call the bot without mentioning it",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Over how many sessions the servers are shared out; from 2,500 servers on "
        "Discord wants at least one for each 1,000 or so",
    )


class Credentials(Section):
    """Where a credential is asked for when its file is refused or missing."""

    keyvault_url: HttpUrl | None = Field(
        default=None, description="The Azure Key Vault to ask; without it only the files count"
    )
    discord_secret: SecretName = Field(
        default="discord-token", description="The name in the vault of the bot's token"
    )
    openai_secret: SecretName = Field(
        default="openai-api-key", description="The name in the vault of the provider's key"
    )

    @field_validator("keyvault_url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """Let an empty variable mean no vault."""
        return None if value == "" else value


class OpenAI(Section):
    """The language model's provider: OpenAI, or anyone who speaks its protocol."""

    base_url: HttpUrl = Field(default="https://api.openai.com/v1", description="The provider's API")
    api_key_file: Path = Field(
        default=Path("/secrets/openai/openai-api-key"),
        description="The file that holds the provider's key",
    )
    auth: Literal["key", "entra"] = Field(
        default="key",
        description="`key`, or `entra` for a token of the pod's Azure identity instead of a key",
    )
    entra_scope: str = Field(
        default="https://cognitiveservices.azure.com/.default",
        pattern=r"^\S+$",
        description="What an Entra token is asked for; this one is Azure OpenAI's",
    )
    api: Literal["responses", "chat"] = Field(
        default="responses",
        description="`responses`, or `chat` (Chat Completions) for most other providers",
    )
    model: str = Field(default="gpt-5-mini", min_length=1, description="The model's name")
    fallback_model: str | None = Field(
        default=None,
        min_length=1,
        description="The model that is asked while that one, or a persona's, is down, overloaded "
        "or missing",
    )
    image_model: str = Field(
        default="gpt-image-1",
        min_length=1,
        description="What draws pictures where `api` is `chat`; otherwise the provider chooses",
    )
    max_output_tokens: int = Field(
        default=4000, ge=16, le=200_000, description="The longest answer, thinking included"
    )
    connect_seconds: Seconds = Field(
        default=5, description="How long a connection may take to come about"
    )
    silence_seconds: Seconds = Field(
        default=45,
        description="How long the provider may say nothing, before an answer or inside one",
    )
    picture_seconds: Seconds = Field(
        default=150, description="The same where a picture may be drawn"
    )
    answer_seconds: Seconds = Field(default=240, description="How long a whole answer may take")
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="How often a question is asked before the person hears of trouble",
    )
    breaker_failures: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="After so many failed requests in a row (no connection, 5xx, silence) people "
        "are told at once; 0 never",
    )
    breaker_seconds: Seconds = Field(
        default=5, description="How long until one question is let through again to try"
    )


class Conversation(Section):
    """How much the model reads. The newest message is always in; the oldest are left out first."""

    max_turns: int = Field(
        default=40, ge=1, le=200, description="The most messages along a chain of replies"
    )
    history: int = Field(
        default=10,
        ge=0,
        le=50,
        description="The most messages of the channel that are read where nothing is replied to",
    )
    max_tokens: int = Field(
        default=12_000,
        ge=500,
        le=1_000_000,
        description="The most text and pictures in all, as `tokens.py` reckons; "
        "the persona's instructions come on top",
    )


class Files(Section):
    """What is opened of that which people attach. The bot fetches it, and hands it on."""

    pictures: int = Field(
        default=4,
        ge=0,
        le=10,
        description="The most pictures that the model looks at for one answer; "
        "0 for a model that cannot see",
    )
    picture_megabytes: int = Field(default=8, ge=1, le=16, description="The largest picture")
    text_kilobytes: int = Field(default=64, ge=1, le=1024, description="The largest text file")


class Reply(Section):
    """How an answer looks while it is written, and when it is done."""

    first_words_seconds: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.6,
        description="How long text is gathered before the first words are shown; "
        "an answer that is complete by then is sent at once and never edited",
    )
    edit_seconds: Annotated[float, Field(ge=1, le=60)] = Field(
        default=1.3, description="The shortest time between two edits of an answer"
    )
    buttons: bool = Field(
        default=True,
        description="Whether an answer has a Stop button while it is written and an Again button "
        "after that, for the one who asked",
    )
    long: Literal["parts", "file", "thread"] = Field(
        default="parts",
        description="Where a long answer goes: on in `parts`, further messages; into a `file` that "
        "holds all of it; or on in a `thread`. Where the bot may not do that, parts",
    )
    long_from: int = Field(
        default=3,
        ge=2,
        le=50,
        description="How many messages make an answer a long one, for `file` and `thread`",
    )
    previews: int = Field(
        default=3,
        ge=0,
        le=100,
        description="An answer with more links than this is shown without their previews",
    )


class Work(Section):
    """How much is done at once."""

    in_flight: int = Field(default=64, ge=1, le=1000, description="Answers being written at once")
    waiting: int = Field(
        default=256,
        ge=0,
        le=10_000,
        description="Questions that wait for a place; more are turned away",
    )
    drain_seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=22, description="How long the bot finishes what it took after SIGTERM"
    )
    catch_up_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=600,
        description="After a gap, calls up to so old are still answered; older ones are counted",
    )


class Http(Section):
    """The port for probes and metrics: /livez, /readyz, /metrics."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104  # the node and the scraper come from outside the pod
        min_length=1,
        description="The address to listen on",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="The port; 0 takes any free one")
    heartbeat_seconds: Seconds = Field(
        default=60,
        description="Not Ready when Discord's last heartbeat answer is older than this; "
        "shortly before that the bot reconnects",
    )


class Log(Section):
    """JSON lines on standard output."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important line that is written"
    )


class Settings(BaseSettings):
    """All of them. `revision` is set by the image and names the commit it was made from."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        env_prefix=PREFIX,
        env_nested_delimiter=SEPARATOR,
    )

    discord: Discord = Discord()
    credentials: Credentials = Credentials()
    openai: OpenAI = OpenAI()
    access: Access = Access()
    personas: Personas = Personas()
    ambient: Ambient = Ambient()
    conversation: Conversation = Conversation()
    files: Files = Files()
    safety: Safety = Safety()
    reply: Reply = Reply()
    work: Work = Work()
    lease: Lease = Lease()
    limits: Limits = Limits()
    budget: Budget = Budget()
    http: Http = Http()
    log: Log = Log()
    revision: str = Field(default="unknown", description="The commit that runs; the image sets it")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what loading.py hands in and nothing from around the process."""
        return (init_settings,)
