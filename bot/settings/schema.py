"""The settings: frozen, typed, read once at the start and passed in.

They come from a TOML file and environment variables; a variable overrides the file. Its name is
`SKY_`, then the section and the key in capitals with two underscores between them:
`SKY_OPENAI__MODEL`. A list is a list in the file, and separated by commas in a variable. loading.py
reads them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from yarl import URL

from bot.domain.text import sanitize


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)


def _address(*schemes: str) -> AfterValidator:
    """Require an absolute URL of one of `schemes`, and drop a slash at its end."""

    def check(value: str) -> str:
        parts = urlsplit(value)
        odd = sanitize(value) != value  # a byte that is no text, out of the environment
        if parts.scheme not in schemes or not parts.hostname or odd:
            raise ValueError(f"must be an address that begins with {schemes[-1]}://")
        return value.rstrip("/")

    return AfterValidator(check)


HttpUrl = Annotated[str, _address("http", "https")]
SocketUrl = Annotated[str, _address("ws", "wss")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
SecretName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,127}$")]  # as Key Vault has it


def _entries(value: Any) -> Any:
    """Split "a, b" into a list; an id may be written as a number."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return parts
    return [_entry(part) for part in parts if part != ""]


def _entry(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _split_pairs(value: Any) -> Any:
    """Split "a = 1, b = 2" into a dict."""
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return {_name(name): given.strip() for name, _, given in pairs}
    if isinstance(value, dict):
        return {_name(key): given for key, given in value.items()}
    return value


def _name(entry: str) -> str:
    """Normalize a name for comparison: no upper case, leading # or @, or surrounding spaces."""
    return entry.strip().removeprefix("#").removeprefix("@").casefold()


def _names(entries: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_name, entries))


def _only_ids(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if not entry.isdecimal():
            raise ValueError(
                "must be ids, because anybody can take a name: in Discord, turn on "
                f"Developer Mode and copy the id of {entry!r}"
            )
    return entries


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_entries), AfterValidator(_names)]
Ids = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_entries),
    AfterValidator(_names),
    AfterValidator(_only_ids),
]
Chances = Annotated[
    dict[str, Annotated[float, Field(ge=0, le=1)]], NoDecode, BeforeValidator(_split_pairs)
]
Choices = Annotated[dict[str, str], NoDecode, BeforeValidator(_split_pairs)]
ThreadMode = Literal["off", "on_call", "forum"]
ThreadModes = Annotated[dict[str, ThreadMode], NoDecode, BeforeValidator(_split_pairs)]


class AccessSettings(Section):
    """Who may call the bot, and where. Threads count as their channel; a block wins."""

    allow_servers: Names = Field(default=(), description="Only these servers, by id or name")
    block_servers: Names = Field(default=(), description="Not these servers")
    allow_categories: Names = Field(
        default=(), description="Only channels in these categories, and `allow_channels`"
    )
    block_categories: Names = Field(default=(), description="No channels in these categories")
    allow_channels: Names = Field(
        default=(), description="Only these channels, by id or name, and threads, by id"
    )
    block_channels: Names = Field(default=(), description="Not these channels and threads")
    allow_roles: Names = Field(
        default=(), description="Only people with one of these roles, and `allow_users`"
    )
    block_roles: Names = Field(default=(), description="Nobody with one of these roles")
    allow_users: Ids = Field(default=(), description="Only these people, by id")
    block_users: Ids = Field(default=(), description="Not these people")
    allow_bots: Ids = Field(default=(), description="Bots and webhooks that are answered, by id")
    bots_in_a_row: int = Field(
        default=3,
        ge=1,
        le=20,
        description="The most consecutive answers to bots in a channel until a person speaks",
    )
    direct_messages: bool = Field(default=True, description="Whether direct messages are answered")


class PersonasSettings(Section):
    """Which persona answers. The most specific choice wins: thread, channel, server, default."""

    directory: Path | None = Field(
        default=None,
        description="The folder of the persona files; default: `personas` next to the settings "
        "file",
    )
    default: str = Field(default="sky", min_length=1, description="The persona everywhere else")
    servers: Choices = Field(
        default={}, description="The persona of a server, by the server's id or name"
    )
    channels: Choices = Field(
        default={},
        description="The persona of a channel, by its id or name, or of a thread, by its id",
    )


class AmbientSettings(Section):
    """Joining in unprompted, by chance. Off unless channels are named."""

    channels: Chances = Field(
        default={},
        description="The chance (0 to 1) of joining in after a message, by channel id or name",
    )
    quiet_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=900, description="How long the bot waits after it spoke before it joins in again"
    )


class ThreadsSettings(Section):
    """Answers in threads and forum posts. Off unless channels are named."""

    channels: ThreadModes = Field(
        default={},
        description="By channel id or name: `on_call` (a call opens a thread on the question, and "
        "the answer goes there), `forum` (each new post of that forum is answered once) or `off`",
    )
    without_call: Literal["alone", "always", "never"] = Field(
        default="alone",
        description="When a message in a thread that the bot opened, or in a forum post that it "
        "answered, needs no call: while one person is `alone` with the bot there, `always`, or "
        "`never`",
    )

    def mode(self, names: tuple[str, ...]) -> ThreadMode:
        """Return the mode of a channel with these names, the most specific name first."""
        return next((self.channels[each] for each in names if each in self.channels), "off")


class LeaseSettings(Section):
    """Leader election: of several processes, the one that holds the Lease answers."""

    where: Literal["auto", "cluster", "file"] = Field(
        default="auto",
        description="Where the Lease is kept: in a Kubernetes object (`cluster`) or a `file`; "
        "`auto` means `cluster` in a pod and `file` elsewhere",
    )
    name: str = Field(
        default="discord-sky-bot",
        pattern=r"^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$",
        description="The Lease's name; with several shards, a hyphen and the shard's number follow",
    )
    holder: str = Field(
        default="",
        description="The pod's own name, which the Deployment sets; if empty, the host's name",
    )
    revision: str = Field(
        default="",
        description="The hash of the pod's template, which the component `trial` sets. A pod of "
        "another revision than the leader's is tried",
    )
    trial: bool = Field(
        default=False,
        description="Whether a new revision answers on trial while the old pod can still take "
        "over from it; the component `trial` sets it. With several shards there are no trials",
    )
    account: Path = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="Where the ServiceAccount's token is mounted",
    )
    file: Path | None = Field(
        default=None,
        description="The file to lock instead, outside a cluster; "
        "by default one in the system's temporary folder",
    )
    seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=75,
        description="How long the Lease lasts. It takes this long to notice that a node has "
        "crashed; an API server outage that is a few seconds shorter than this has no effect",
    )

    shards_per_pod: int = Field(
        default=16, ge=1, le=1000, description="The most shards that one process serves"
    )

    def path(self, token_file: Path) -> Path:
        """Return the file to lock: the same for every bot that reads the same token."""
        if self.file is not None:
            return self.file
        name = hashlib.sha256(str(token_file.absolute()).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"discord-sky-{os.getuid()}" / f"lease-{name}"


PerHour = Annotated[int, Field(ge=0, le=1_000_000)]
PerAnswer = Annotated[int, Field(ge=1, le=20)]
Money = Annotated[float, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=0.9)]


class LimitsSettings(Section):
    """How many calls are answered in any 60 minutes (0: no limit), and what one answer may do.

    A person over a limit is told once when to try again, and is then ignored.
    """

    user_per_hour: PerHour = Field(default=0, description="Calls by one person, in all places")
    channel_per_hour: PerHour = Field(default=0, description="Calls in one channel or thread")
    server_per_hour: PerHour = Field(default=0, description="Calls in one server")
    reserve: Share = Field(
        default=0.2,
        description="The share of a channel's or server's calls that is reserved for people; "
        "the bot joins in unprompted only with what is not reserved",
    )
    searches: PerAnswer = Field(
        default=3, description="Web searches for one answer, if the persona may search"
    )
    drawings: PerAnswer = Field(
        default=1,
        description="Pictures generated for one answer; with searches, the sum is what counts",
    )


class Price(Section):
    """What a model costs: money per million tokens."""

    input: Money = Field(description="Of tokens that the model reads")
    cached_input: Money | None = Field(
        default=None, description="Of input tokens from the provider's cache; default: as `input`"
    )
    output: Money = Field(description="Of tokens that it writes, including reasoning")


# From the price lists of the first half of 2026. Prices change: check the provider's own list.
_PRICES = {
    "gpt-5": Price(input=1.25, cached_input=0.125, output=10),
    "gpt-5-mini": Price(input=0.25, cached_input=0.025, output=2),
    "gpt-5-nano": Price(input=0.05, cached_input=0.005, output=0.4),
    "gpt-4.1": Price(input=2, cached_input=0.5, output=8),
    "gpt-4.1-mini": Price(input=0.4, cached_input=0.1, output=1.6),
    "gpt-4o": Price(input=2.5, cached_input=1.25, output=10),
    "gpt-4o-mini": Price(input=0.15, cached_input=0.075, output=0.6),
}


class BudgetSettings(Section):
    """What may be spent in a day and in a month (UTC). 0: no limit; spending is still counted."""

    daily: Money = Field(
        default=0, description="The most money to spend in a day, from midnight UTC"
    )
    monthly: Money = Field(
        default=0, description="The most money to spend in a calendar month, UTC"
    )
    reserve: Share = Field(
        default=0.2,
        description="The share of both that is reserved for people; the bot joins in unprompted "
        "only with what is not reserved",
    )
    currency: str = Field(
        default="USD", pattern=r"^[A-Z]{3}$", description="The currency of the prices"
    )
    image: Money = Field(default=0.04, description="The price of one generated image")
    search: Money = Field(default=0.01, description="The price of one web search")
    moderation: Money = Field(
        default=0,
        description="The price of a million tokens of moderation input; OpenAI's is free",
    )
    prices: dict[str, Price] = Field(
        default=_PRICES,
        description="The price table, a table for each model: `input`, `cached_input` and `output` "
        "per million tokens. A model that is not in it is charged at the highest price",
    )


class UsageSettings(Section):
    """What each person and channel used this month, for `/usage`. Off unless enabled."""

    enabled: bool = Field(
        default=False,
        description="Whether `/usage` is offered. For it, the ids of people and channels are kept "
        "with what they used until the month (UTC) ends; `/privacy` says so",
    )
    rows: int = Field(
        default=40,
        ge=10,
        le=100,
        description="The most people, and the most channels, of a shard that are kept by "
        "themselves across restarts: those that cost most. Others are added up",
    )


def _split(value: Any) -> Any:
    """Split "a, b" into a list."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
    NoDecode,
    BeforeValidator(_split),
]


class SafetySettings(Section):
    """What may not be asked or said. Mentions never ping and links are never masked."""

    banned_words: Words = Field(
        default=(),
        description="Words or phrases: a question that contains one is not answered; "
        "in an answer they are hidden",
    )
    moderation: Literal["off", "input", "output", "both"] = Field(
        default="off",
        description="What the provider's moderation checks: questions, answers (which are then "
        "shown a few sentences at a time), or both",
    )
    moderation_model: str = Field(
        default="omni-moderation-latest", min_length=1, description="The moderation model"
    )
    moderation_down: Literal["refuse", "allow"] = Field(
        default="refuse", description="What happens while moderation is unavailable"
    )


PREFIX = "SKY_"
SEPARATOR = "__"


class DiscordSettings(Section):
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
        description="The word at the start of a message that calls the bot without a mention",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="The number of gateway sessions that share the servers; from 2,500 servers on, "
        "Discord requires about one for each 1,000",
    )


class CredentialsSettings(Section):
    """Where to look for a credential when its file is refused or missing."""

    keyvault_url: HttpUrl | None = Field(
        default=None, description="The Azure Key Vault to read from; without it, only the files"
    )
    discord_secret: SecretName = Field(
        default="discord-token", description="The name of the bot's token in the vault"
    )
    openai_secret: SecretName = Field(
        default="openai-api-key", description="The name of the provider's key in the vault"
    )

    @field_validator("keyvault_url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """Let an empty variable mean no vault."""
        return None if value == "" else value


class OpenAISettings(Section):
    """The language model's provider: OpenAI, or another one that speaks its protocol."""

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
        description="The scope of the Entra token; the default is Azure OpenAI's",
    )
    api: Literal["responses", "chat"] = Field(
        default="responses",
        description="`responses`, or `chat` (Chat Completions) for most other providers",
    )
    model: str = Field(default="gpt-5-mini", min_length=1, description="The model's name")
    fallback_model: str | None = Field(
        default=None,
        min_length=1,
        description="The model that is used while that one, or a persona's, is down, overloaded "
        "or missing",
    )
    image_model: str = Field(
        default="gpt-image-1",
        min_length=1,
        description="The model that generates pictures if `api` is `chat`; otherwise the provider "
        "chooses",
    )
    max_output_tokens: int = Field(
        default=4000,
        ge=16,
        le=200_000,
        description="The longest answer in tokens, including reasoning",
    )
    connect_seconds: Seconds = Field(
        default=5, description="How long establishing a connection may take"
    )
    silence_seconds: Seconds = Field(
        default=45,
        description="How long the provider may send nothing, before or during an answer",
    )
    picture_seconds: Seconds = Field(
        default=150, description="The same when a picture may be generated"
    )
    answer_seconds: Seconds = Field(default=240, description="How long a whole answer may take")
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="How many times a request is tried before the person is told of a failure",
    )
    breaker_failures: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="After this many failed requests in a row (no connection, 5xx, silence), "
        "people are told at once, without a request; 0: never",
    )
    breaker_seconds: Seconds = Field(
        default=5, description="How long until one question is let through again as a test"
    )


class ConversationSettings(Section):
    """How much the model reads. The newest message is always in; the oldest are left out first."""

    max_turns: int = Field(
        default=40, ge=1, le=200, description="The most messages of a reply chain that are read"
    )
    history: int = Field(
        default=10,
        ge=0,
        le=50,
        description="How many of the channel's newest messages are read if the call is not a reply",
    )
    max_tokens: int = Field(
        default=12_000,
        ge=500,
        le=1_000_000,
        description="The most text and pictures in total, in estimated tokens; "
        "the persona's instructions are not included",
    )


class FilesSettings(Section):
    """Which attachments the bot opens. It downloads them and passes them on to the model."""

    pictures: int = Field(
        default=4,
        ge=0,
        le=10,
        description="The most pictures that the model is shown for one answer; "
        "0 for a model without vision",
    )
    picture_megabytes: int = Field(default=8, ge=1, le=16, description="The largest picture")
    text_kilobytes: int = Field(default=64, ge=1, le=1024, description="The largest text file")
    document_pages: int = Field(
        default=50,
        ge=0,
        le=1000,
        description="The most pages, slides or sheets that are read of a document (PDF, Word, "
        "Excel, PowerPoint); 0 reads no documents",
    )
    document_characters: int = Field(
        default=16_000, ge=100, le=200_000, description="The most text that is read of a document"
    )
    document_seconds: float = Field(
        default=20, ge=1, le=60, description="How long reading one document may take"
    )


def _hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_host, entries))


def _host(entry: str) -> str:
    """Normalize a site's name as it is compared: as DNS has it, without `*.` and a last dot."""
    name = entry.strip().lower().removeprefix("*.").strip(".")
    try:
        # By the library that reads links, so that "ß" means the same site in both.
        known = "" if set(name) & set("/:@*?%") else URL.build(scheme="https", host=name).raw_host
    except ValueError:
        known = ""
    if not known:
        raise ValueError(
            f"must be names of sites, such as example.com; {entry!r} is none. Leave out https:// "
            "and what follows the name"
        )
    return known


Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_entries), AfterValidator(_hosts)]


class LinksSettings(Section):
    """Whether the bot reads the pages that a question, or what it replies to, links to.

    Only at https addresses of the public internet. Links to Discord's messages are always followed.
    """

    pages: int = Field(
        default=0, ge=0, le=5, description="The most pages that are read for one answer; 0: none"
    )
    tokens: int = Field(
        default=4000,
        ge=100,
        le=100_000,
        description="The most text of all these pages, in estimated tokens; it is part of "
        "`conversation.max_tokens`",
    )
    allow_hosts: Hosts = Field(
        default=(), description="Only these sites, such as `example.com`, and what is below them"
    )
    block_hosts: Hosts = Field(default=(), description="Not these sites, nor what is below them")


class ReplySettings(Section):
    """How an answer looks while it is written, and when it is complete."""

    first_words_seconds: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.05,
        description="How long text is collected before the first words are shown, at least until "
        "there is a whole word; an answer that is complete by then is sent once and never edited. "
        "Where one of Discord's limits is near, at least 0.6",
    )
    edit_seconds: Annotated[float, Field(ge=1, le=60)] = Field(
        default=1.3, description="The shortest time between two edits of an answer"
    )
    buttons: bool = Field(
        default=True,
        description="Whether an answer has a Stop button while it is being written and an Again "
        "button afterwards, for the person who asked",
    )
    long: Literal["parts", "file", "thread"] = Field(
        default="parts",
        description="How a long answer is shown: in `parts` (more messages), as a `file` with the "
        "whole answer, or in a `thread`; `parts` if the bot lacks the permission",
    )
    long_from: int = Field(
        default=3,
        ge=2,
        le=50,
        description="From how many messages on an answer is long, for `file` and `thread`",
    )
    previews: int = Field(
        default=3,
        ge=0,
        le=100,
        description="An answer with more links than this is shown without link previews",
    )
    cost_line: bool = Field(
        default=False,
        description="Whether a small line below each answer says its model, tokens and cost; it is "
        "left out where the answer's last message has no room for it",
    )


class SummarySettings(Section):
    """`/summary`: what was said in a channel, for one person. Off unless `messages` is set."""

    messages: int = Field(
        default=0,
        ge=0,
        le=5000,
        description="The most messages that one summary reads, the newest ones; 0: people are not "
        "offered `/summary`",
    )
    ask_from: Money = Field(
        default=0.05,
        description="From which expected cost on the person is asked before a summary is written; "
        "they always are if the model's price is unknown",
    )
    most_cost: Money = Field(
        default=1,
        description="The most money that one summary can cost, retries included: it leaves out "
        "older messages accordingly. 0: no limit but the budget",
    )
    block_channels: Names = Field(
        default=(),
        description="Channels and categories that are never summarized, by id or name, and "
        "threads, by id; nor those where `[access]` does not let the person call the bot",
    )


class WorkSettings(Section):
    """How much is done at once."""

    in_flight: int = Field(
        default=64, ge=1, le=1000, description="The most answers being written at once"
    )
    waiting: int = Field(
        default=256,
        ge=0,
        le=10_000,
        description="The most questions waiting for their turn; further ones are turned away",
    )
    drain_seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=22, description="How long the bot may take to finish its answers after SIGTERM"
    )
    catch_up_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=600,
        description="After a gap, calls up to this old are still answered; older ones are only "
        "counted",
    )


class HttpSettings(Section):
    """The port for probes and metrics: /livez, /readyz, /metrics."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104  # the node and the scraper come from outside the pod
        min_length=1,
        description="The address to listen on",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="The port; 0 takes any free one")
    heartbeat_seconds: Seconds = Field(
        default=60,
        description="The pod is not Ready if Discord last acknowledged a heartbeat longer ago than "
        "this; the bot reconnects shortly before that",
    )


class LogSettings(Section):
    """JSON lines on standard output."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The lowest level that is logged"
    )


class Settings(BaseSettings):
    """All sections. `revision` is set by the image and names the commit that it was built from."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        env_prefix=PREFIX,
        env_nested_delimiter=SEPARATOR,
    )

    discord: DiscordSettings = DiscordSettings()
    credentials: CredentialsSettings = CredentialsSettings()
    openai: OpenAISettings = OpenAISettings()
    access: AccessSettings = AccessSettings()
    personas: PersonasSettings = PersonasSettings()
    ambient: AmbientSettings = AmbientSettings()
    threads: ThreadsSettings = ThreadsSettings()
    conversation: ConversationSettings = ConversationSettings()
    files: FilesSettings = FilesSettings()
    links: LinksSettings = LinksSettings()
    safety: SafetySettings = SafetySettings()
    reply: ReplySettings = ReplySettings()
    summary: SummarySettings = SummarySettings()
    work: WorkSettings = WorkSettings()
    lease: LeaseSettings = LeaseSettings()
    limits: LimitsSettings = LimitsSettings()
    budget: BudgetSettings = BudgetSettings()
    usage: UsageSettings = UsageSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    revision: str = Field(default="unknown", description="The running commit; the image sets it")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what loading.py passes in and nothing else."""
        return (init_settings,)
