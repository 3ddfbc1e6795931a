"""The whole state of the server, in one place, for the routes and the gateway."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.servers.discord import errors, intents, payloads
from tests.servers.discord.cdn import Cdn
from tests.servers.discord.counts import Counts
from tests.servers.discord.errors import ApiError, Json
from tests.servers.discord.event_log import EventLog
from tests.servers.discord.faults import Faults
from tests.servers.discord.interaction_store import InteractionStore
from tests.servers.discord.limits import Limits, Rule
from tests.servers.discord.model import Attachment, Guild
from tests.servers.discord.payloads import Payloads
from tests.servers.discord.sessions import Session, SessionManager
from tests.servers.discord.settings import Settings
from tests.servers.discord.tokens import Tokens
from tests.servers.discord.world import World

DAY = 86_400.0


@dataclass(slots=True)
class ServerState:
    """The parts of the state, and the few results that need several of them."""

    world: World
    tokens: Tokens
    base_url: str
    settings: Settings = field(default_factory=Settings)
    clock: Callable[[], float] = time.monotonic
    counts: Counts = field(default_factory=Counts)
    events: EventLog = field(default_factory=EventLog)
    cdn: Cdn = field(default_factory=Cdn)
    nonces: OrderedDict[tuple[int, str], tuple[float, int]] = field(default_factory=OrderedDict)
    commands: dict[int | None, list[Json]] = field(default_factory=dict)  # by guild; None: global
    faults: Faults = field(init=False)
    sessions: SessionManager = field(init=False)
    limits: Limits = field(init=False)
    payloads: Payloads = field(init=False)
    interactions: InteractionStore = field(init=False)
    started: float = field(init=False)
    first_settings: Settings = field(init=False)
    blocked_words: tuple[str, ...] = ()  # blocked by AutoMod
    odd_messages: dict[str, Json] = field(default_factory=dict)  # by id, what REST returns instead
    spent: int = 0  # identifies before the counters were reset, which still count

    def __post_init__(self) -> None:
        self.faults = Faults(self.clock)
        self.sessions = SessionManager(self.counts, self.faults, self.clock)
        self.payloads = Payloads(self.world, self._attachment_url)
        self.interactions = InteractionStore(self.clock)
        self.started = self.clock()
        self.first_settings = self.settings
        self.apply(self.settings)

    def reset(self) -> None:
        """Forget what happened and what was set; the world is then empty, ids keep increasing."""
        self.apply(self.first_settings)
        self.tokens.reset()
        self.faults.end_all()
        self.sessions.forget_all()
        self.interactions.forget()
        self.cdn.forget()
        self.world.empty()
        for each in (self.nonces, self.commands, self.odd_messages):
            each.clear()
        self.blocked_words = ()
        self.started = self.clock()
        self.forget_counts()

    def apply(self, settings: Settings) -> None:
        """Use these settings from now on."""
        self.settings = settings
        self.world.most_threads = settings.active_threads
        self.limits = Limits(self.clock, Rule("global", settings.requests_per_second, 1.0))

    def _attachment_url(self, channel_id: int, file: Attachment) -> str:
        path = quote(f"/attachments/{channel_id}/{file.id}/{file.filename}", errors="replace")
        return f"{self.base_url}{path}?{self.cdn.sign(path, self.settings.attachment_seconds)}"

    def check_words(self, text: str) -> None:
        """Raise 200000 for a text that AutoMod blocks."""
        if any(word in text.casefold() for word in self.blocked_words):
            raise ApiError(*errors.BLOCKED_BY_AUTOMOD)

    @property
    def gateway_url(self) -> str:
        """Return the gateway's URL."""
        return self.gateway_at(self.base_url.partition("://")[2])

    def gateway_at(self, host: str) -> str:
        """Return the gateway's URL for a client that knows this server by another name."""
        return f"ws://{host}/gateway"

    def identifies_left(self) -> int:
        """Return how many identifies remain today."""
        return max(0, self.settings.identifies_per_day - self.spent - self.counts.identifies)

    def session_start_limit(self) -> Json:
        """Return the session start limit as GET /gateway/bot reports it."""
        age = (self.clock() - self.started) % DAY
        return {
            "total": self.settings.identifies_per_day,
            "remaining": self.identifies_left(),
            "reset_after": int((DAY - age) * 1000),
            "max_concurrency": self.settings.max_concurrency,
        }

    def ready(self, session: Session, guilds: Iterable[Guild], host: str) -> Json:
        """Return READY of a session; a RESUME goes to the HOST that the identify came to."""
        bot = self.world.bot
        flags = intents.application_flags(self.settings.privileged_intents)
        return {
            "v": 10,
            "user": payloads.user(bot) | {"mfa_enabled": True, "verified": True, "email": None},
            "session_type": "normal",
            "session_id": session.id,
            "resume_gateway_url": self.gateway_at(host),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "application": {"id": str(bot.id), "flags": flags},
            "private_channels": [],
            "relationships": [],
            "presences": [],
            "shard": list(session.shard),
            "_trace": ["sky"],
        }

    def application(self) -> Json:
        """Return the bot's application."""
        world = self.world
        owner = next((u for u in world.users.values() if not u.bot), world.bot)
        return {
            "id": str(world.bot.id),
            "name": world.bot.name,
            "description": "",
            "icon": None,
            "bot_public": False,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "team": None,
            "owner": payloads.user(owner),
            "bot": payloads.user(world.bot),
            "flags": intents.application_flags(self.settings.privileged_intents),
            "approximate_guild_count": len(world.guilds),
            "redirect_uris": [],
            "interactions_endpoint_url": None,
        }

    def forget_counts(self) -> None:
        """Reset the counters, and today's used identifies."""
        self.reset_counts()
        self.spent = 0

    def reset_counts(self) -> None:
        """Reset the counters."""
        self.spent += self.counts.identifies
        fresh = Counts()
        for name in Counts.__dataclass_fields__:
            setattr(self.counts, name, getattr(fresh, name))
