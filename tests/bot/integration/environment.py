"""The test environment: the two servers, and the bot as a process of its own with its settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .process import BotProcess
from .servers import Servers

# Quick where production is patient: the wait for a provider that says nothing, and retries.
# No circuit breaker: where one bot is shown every failure at once, it would speak for them all.
QUICK = {
    "SKY_OPENAI__SILENCE_SECONDS": "1.5",
    "SKY_OPENAI__ATTEMPTS": "2",
    "SKY_OPENAI__BREAKER_FAILURES": "0",
}


class Mounted:
    """A credential in a directory as the kubelet mounts it: links, swapped in one step."""

    def __init__(self, directory: Path, name: str, value: str | None) -> None:
        directory.mkdir()
        self._directory = directory
        self._versions = count(1)
        self.path = directory / name
        self.value = ""
        self.all_values: list[str] = []
        if value is not None:
            self.swap(value)

    def swap(self, value: str) -> None:
        """Put a new value in place, with the trailing newline that people leave there."""
        self.value = value
        self.all_values.append(value)
        version = self._directory / f"..{next(self._versions)}"
        version.mkdir()
        (version / self.path.name).write_text(value + "\n")
        fresh = self._directory / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self._directory / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to(Path("..data") / self.path.name)


@dataclass(frozen=True)
class Stage:
    """Both servers and one bot, with the credentials that it was given."""

    servers: Servers
    bot: BotProcess
    token: Mounted
    api_key: Mounted
    said: list[str] = field(default_factory=list)

    def logs(self) -> str:
        """Give the ends of all three logs, for a failure's report."""
        files = (self.servers.discord.log, self.servers.openai.log)
        others = [(each.name, each.read_text()[-2000:]) for each in files]
        return "\n".join(
            f"--- {name}\n{text}" for name, text in [*others, ("bot", self.bot.tail())]
        )


@contextmanager
def stage(
    servers: Servers,
    directory: Path,
    *,
    token: str = "",
    key: str = "",
    start: str = "bot",
    **settings: str,
) -> Iterator[Stage]:
    """Put a bot on the servers; `token` and `key` are given to it instead of those accepted.

    "-" leaves the credential's file out; `start=""` leaves the bot to be started by the story.
    `settings` are further variables of the environment. The bot is ended at the end.
    """
    mounted = Mounted(directory / "discord", "discord-token", _given(token, servers.token))
    api_key = Mounted(directory / "openai", "openai-api-key", _given(key, servers.key))
    environment = {
        "SKY_DISCORD__API_URL": servers.discord.api_url,
        "SKY_DISCORD__GATEWAY_URL": servers.discord.gateway_url,
        "SKY_DISCORD__TOKEN_FILE": str(mounted.path),
        "SKY_OPENAI__BASE_URL": servers.openai.url,
        "SKY_OPENAI__API_KEY_FILE": str(api_key.path),
        "SKY_LEASE__FILE": str(directory / "lease"),  # not one that an earlier run has left behind
        **QUICK,
        **settings,
    }
    bot = BotProcess(environment, directory / "bot.observability.log")
    if start:
        bot.start()
    try:
        yield Stage(servers, bot, mounted, api_key)
    finally:
        bot.kill()


def _given(chosen: str, accepted: str) -> str | None:
    return None if chosen == "-" else chosen or accepted
