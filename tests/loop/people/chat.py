"""Talk to the running bot from a terminal, as a user of the Discord stand-in.

    python -m tests.loop.people.chat                       a conversation; Ctrl-D ends it
    python -m tests.loop.people.chat "what is a lease?"    one question
    python -m tests.loop.people.chat < questions.txt       one question a line

The first message mentions the bot; each following one replies to its last answer.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from tests.loop.supervisor import state
from tests.servers.discord.control import ControlError, DiscordControl
from tests.servers.discord.records import Event, Message
from tests.servers.discord.screen import Screen
from tests.servers.discord.stream import Stream

PATIENCE: Final = 60.0  # for the first words
SETTLED: Final = 3.0  # without an edit, and the answer is taken as complete
GREETING: Final = "You are {user} in {place}. /help lists the commands, Ctrl-D leaves."
HELP: Final = """\
/sky TOPIC      ask by the bot's slash command
/channel NAME   go to another channel
/dm             talk to the bot in private
/as NAME        be another user
/new            begin a new conversation (a message is otherwise a reply to the last answer)
/quit           leave, as Ctrl-D does"""


class ChatError(Exception):
    """Said to the person as it is."""


@dataclass
class Chat:
    """A person at a terminal: who, where, and what was answered last."""

    discord: DiscordControl
    user: str
    channel: str
    screen: Screen
    patience: float = PATIENCE
    settled: float = SETTLED
    last: str | None = None
    _parts: dict[str, str] = field(default_factory=dict)

    async def check(self) -> None:
        """Check that the user and the channel exist. Raises ChatError."""
        world = await self.discord.world()
        users = [each.name for each in world.users if not each.bot]
        known = {each.casefold(): each for each in users}
        if self.user.casefold() not in known:
            raise ChatError(f"There is no user {self.user!r}; there are {', '.join(users)}.")
        self.user = known[self.user.casefold()]
        channels = [each.name for each in world.channels if not each.name.startswith("@")]
        if self.channel not in ("dm", *channels):
            raise ChatError(f"There is no channel {self.channel!r}; there are {_few(channels)}.")

    async def ask(self, text: str) -> bool:
        """Say something and show the answer as it comes; False when there is none in time."""
        async with self.discord.events() as stream:
            asked = await self.discord.say(
                self.channel,
                text,
                self.user,
                self.last,
                mention_bot=self.last is None and self.channel != "dm",
            )
            self._parts.clear()
            try:
                await self._follow(stream, asked)
            finally:
                self.screen.end()
        return bool(self._parts)

    async def use(self, topic: str) -> None:
        """Ask by `/sky`: show the response that quotes it, then the answer. Raises ChatError."""
        async with self.discord.events() as stream:
            used = await self.discord.invoke("sky", self.channel, self.user, {"topic": topic})
            done = await self.discord.wait_interaction(used.id)
            if done.original is None:
                raise ChatError("The application did not respond.")
            response = await self.discord.message(done.original)
            only_you = " (only you see this)" if response.hidden else ""
            self.screen.out.write(f"{response.author}{only_you}: {response.content}\n")
            if response.hidden:
                return
            self._parts.clear()
            try:
                await self._follow(stream, response)
            finally:
                self.screen.end()

    async def _follow(self, stream: Stream, asked: Message) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.patience
        while until > loop.time():
            with contextlib.suppress(TimeoutError):
                event = await stream.event(lambda e: self._concerns(e, asked), until - loop.time())
                if event.kind == "typing":
                    until = max(until, loop.time() + self.settled)
                    continue
                message = Message.of(event.data)
                if not self._parts:
                    self.last = message.id
                if event.kind == "delete":
                    self._parts.pop(message.id, None)
                else:
                    self._parts[message.id] = message.content
                self.screen.show(f"{message.author}: " + "\n".join(self._parts.values()))
                until = loop.time() + self.settled

    def _concerns(self, event: Event, asked: Message) -> bool:
        if event.kind == "typing":
            return bool(event.data["channel_id"] == asked.channel_id and self._parts)
        if event.kind not in ("message", "edit", "delete") or not event.data["from_sky"]:
            return False
        # Later parts of a long answer may hang on its first part.
        return event.data["reply_to"] in (asked.id, *self._parts)

    async def command(self, line: str) -> bool:
        """Execute a line that begins with a slash; False ends the chat."""
        name, _, argument = line[1:].partition(" ")
        before = self.user, self.channel
        match name, argument.strip().removeprefix("#"):
            case "quit" | "exit", _:
                return False
            case "sky", topic if topic:
                await self.use(topic)
                return True
            case "new", "":
                self.last = None
            case "dm", "":
                self.channel = "dm"
            case "channel", place if place:
                self.channel = place
            case "as", who if who:
                self.user = who
            case _:
                self.screen.out.write(HELP + "\n")
        if before == (self.user, self.channel):
            return True
        try:
            await self.check()
        except ChatError:
            self.user, self.channel = before
            raise
        self.last = None
        self.screen.out.write(f"You are {self.user} in {self.place}.\n")
        return True

    @property
    def place(self) -> str:
        """Where we are, as a person writes it."""
        return "a private conversation" if self.channel == "dm" else f"#{self.channel}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:30]) + (", …" if len(names) > 30 else "")  # noqa: PLR2004  a line


def main(argv: list[str] | None = None) -> int:
    """Run; 0 when every question was answered."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.loop.people.chat",
        description="Talk to the running bot as a user of the Discord stand-in.",
    )
    parser.add_argument("message", nargs="?", help="one question; without it, a conversation")
    parser.add_argument("--channel", default="general", help="a channel's name, or dm")
    parser.add_argument("--as", dest="user", default="Ada", metavar="NAME")
    parser.add_argument("--control", default=f"http://{state.DISCORD_CONTROL}", metavar="URL")
    parser.add_argument("--patience", type=float, default=PATIENCE, metavar="SECONDS")
    parser.add_argument("--settled", type=float, default=SETTLED, metavar="SECONDS")
    options = parser.parse_args(argv)
    screen = Screen(sys.stdout, live=sys.stdout.isatty())
    with asyncio.Runner() as runner:
        chat = Chat(DiscordControl(options.control), options.user, options.channel, screen)
        chat.channel = chat.channel.removeprefix("#")
        chat.patience, chat.settled = options.patience, options.settled
        try:
            runner.run(_connect(chat))
            return _talk(runner, chat, options.message)
        except (aiohttp.ClientError, OSError) as error:
            print(_remedy(options.control, error), file=sys.stderr)
        except (ChatError, ControlError) as error:
            print(error, file=sys.stderr)
        except KeyboardInterrupt:
            print()
        finally:
            runner.run(chat.discord.close())
    return 1


async def _connect(chat: Chat) -> None:
    chat.discord.open()
    await chat.check()
    if not (await chat.discord.counts()).live_sessions:
        print(
            "The bot is not connected to this Discord; a message may have to wait."
            " `kubectl -n discord-sky get pods` and `make loop-status` say more.",
            file=sys.stderr,
        )


def _talk(runner: asyncio.Runner, chat: Chat, message: str | None) -> int:
    answered = True
    for line in [message] if message is not None else _lines(chat):
        try:
            if line.startswith("/") and message is None:
                if not runner.run(chat.command(line)):
                    break
            elif not runner.run(chat.ask(line)):
                answered = False
                print(f"No answer within {chat.patience:.0f} s. {_WHY}", file=sys.stderr)
        except (ChatError, ControlError) as error:
            print(error, file=sys.stderr)
            answered = False
        except KeyboardInterrupt:
            if message is not None:
                raise
            print("(no longer waiting)")
    return 0 if answered else 1


_WHY: Final = (
    "See the bot's log: `kubectl -n discord-sky logs deploy/discord-sky-bot`"
    " (`make loop-status` prints the kubeconfig)."
)


def _lines(chat: Chat) -> Iterator[str]:
    """What the person types, or what is piped in, without empty lines."""
    typing = sys.stdin.isatty()
    if typing:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415  gives input() its history and keys
        print(GREETING.format(user=chat.user, place=chat.place))
    while True:
        try:
            line = input(f"{chat.user}: ") if typing else sys.stdin.readline()
        except EOFError:
            print()
            return
        if not typing and not line:
            return
        if line.strip():
            if not typing:
                print(f"{chat.user}: {line.strip()}")
            yield line.strip()


def _remedy(url: str, error: Exception) -> str:
    try:
        loop = state.load()
    except state.LoopDown as down:
        return f"Nobody answers at {url}: {down}."
    if "discord" in loop.left_out:
        return "This loop runs without the Discord stand-in (LOOP_WITHOUT names it)."
    return f"The Discord stand-in does not answer at {url} ({error}): `make loop-status` says more."


if __name__ == "__main__":
    sys.exit(main())
