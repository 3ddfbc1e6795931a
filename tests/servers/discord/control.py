"""The client of the control API: acts as people do, injects faults, waits, and counts.

async with DiscordControl("http://127.0.0.1:7111") as discord:
asked = await discord.say("general", "hello", author="Ada")
answer = await discord.wait_answer(asked.id, lambda m: "hi" in m.content)
"""

import base64
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.servers.discord.records import (
    Channel,
    Counts,
    Event,
    Fault,
    Interaction,
    Message,
    Session,
    User,
    World,
)
from tests.servers.discord.stream import Stream

TIMEOUT = 30.0
_COMINGS_AND_GOINGS = ("identify", "resume", "disconnect")
Predicate = Callable[[Message], bool]


class ControlError(Exception):
    """The control API refused a request; the text is its reason."""


class DiscordControl:
    """Use as `async with`. Channels: name, id, `@user` for a DM; `dm` for the author's own."""

    def __init__(self, url: str = "http://127.0.0.1:7111") -> None:
        self._url = url.rstrip("/")
        self._http: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the HTTP client, as `async with` does."""
        self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        """Close the HTTP client."""
        if self._http is not None:
            await self._http.close()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            msg = "use `async with DiscordControl(...)`"
            raise RuntimeError(msg)
        return self._http

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        # As a file, because aiohttp warns about large bodies otherwise; these contain files.
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._session.request(method, self._url + path, data=data, headers=headers)
        async with request as response:
            answer = await response.json()
            if response.status != 200:  # noqa: PLR2004  HTTP
                raise ControlError(f"{method} {path}: {answer.get('error', answer)}")
            return answer

    # People

    async def say(
        self,
        channel: str,
        text: str,
        author: str = "Ada",
        reply_to: str | None = None,
        *,
        mention_bot: bool = True,
        ping: bool = True,
        files: Sequence[tuple[str, str, bytes]] = (),
        forward: str | None = None,
        **more: Any,
    ) -> Message:
        """Write a message as a user, bot or webhook; files are (name, content type, bytes).

        `forward` is the id of a message to forward with it. Other keys: `embeds`, `components`,
        `stickers`, `poll`, `voice_seconds`, `command`, `kind`; see control_api/messages.py.
        """
        attachments = [
            {"filename": name, "content_type": kind, "base64": base64.b64encode(data).decode()}
            for name, kind, data in files
        ]
        body = {
            "channel": channel,
            "content": text,
            "author": author,
            "reply_to": reply_to,
            "mention_bot": mention_bot,
            "ping": ping,
            "attachments": attachments,
            "forward": forward,
        } | more
        return Message.of(await self._ask("POST", "/messages", body))

    async def forget(self) -> None:
        """Delete every message without sending events, before a new bot connects."""
        await self._ask("DELETE", "/messages")

    async def lose_files(self) -> None:
        """Drop the bytes of every attachment, as if Discord had deleted the files."""
        await self._ask("DELETE", "/files")

    async def expire_files(self) -> None:
        """Expire every attachment URL that was issued so far."""
        await self._ask("POST", "/files/expire", {})

    async def unfurl(self, message_id: str, *embeds: Mapping[str, Any]) -> Message:
        """Add previews of a message's links, as Discord does a moment later."""
        body = {"embeds": list(embeds)}
        return Message.of(await self._ask("POST", f"/messages/{message_id}/embeds", body))

    async def edit(self, message_id: str, text: str, *, mention_bot: bool = False) -> Message:
        """Change a message as its author."""
        body = {"content": text, "mention_bot": mention_bot}
        return Message.of(await self._ask("PATCH", f"/messages/{message_id}", body))

    async def delete(self, message_id: str) -> None:
        """Delete a message as its author."""
        await self._ask("DELETE", f"/messages/{message_id}")

    async def react(
        self, message_id: str, emoji: str, author: str = "Ada", *, remove: bool = False
    ) -> None:
        """Add or remove a reaction."""
        body = {"message": message_id, "author": author, "emoji": emoji, "remove": remove}
        await self._ask("POST", "/reactions", body)

    async def invoke(
        self,
        name: str,
        channel: str = "general",
        author: str = "Ada",
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Interaction:
        """Use a slash command; `target=id` for a context menu, `type="autocomplete"` and so on."""
        body = {"type": "command", "name": name, "channel": channel, "author": author} | more
        return Interaction.of(await self._ask("POST", "/interactions", body | {"options": options}))

    async def press(
        self, message_id: str, custom_id: str, author: str = "Ada", **more: Any
    ) -> Interaction:
        """Press a button, or choose `values=[…]` in a menu, on a message."""
        body = {"type": "component", "message": message_id, "custom_id": custom_id} | more
        return Interaction.of(await self._ask("POST", "/interactions", body | {"author": author}))

    # Reading the state

    async def message(self, message_id: str) -> Message:
        """Return the message as it is now."""
        return Message.of(await self._ask("GET", f"/messages/{message_id}"))

    async def answers(self, message_id: str) -> tuple[Message, ...]:
        """Return the bot's messages that reference this one and still exist, oldest first."""
        return tuple(map(Message.of, await self._ask("GET", f"/messages/{message_id}/answers")))

    async def ledger(self) -> Mapping[str, tuple[str, ...]]:
        """Map each user's message to the bot's messages that reference it, deleted ones too."""
        found = await self._ask("GET", "/counts/answers")
        return {asked: tuple(by) for asked, by in found.items()}

    async def read(self, channel: str, limit: int = 50) -> tuple[Message, ...]:
        """Return a channel's newest messages, oldest first."""
        channel = channel.replace("#", "")
        found = await self._ask("GET", f"/channels/{channel}/messages?limit={limit}")
        return tuple(map(Message.of, found))

    async def interaction(self, interaction_id: str) -> Interaction:
        """Return the state of an interaction."""
        return Interaction.of(await self._ask("GET", f"/interactions/{interaction_id}"))

    async def world(self) -> World:
        """Return guilds, channels, users and the bot's commands."""
        data = await self._ask("GET", "/world")
        return World(
            User.of(data["bot"]),
            tuple(map(Channel.of, data["channels"])),
            tuple(map(User.of, data["users"])),
            tuple(data["guilds"]),
            tuple(data["commands"]),
            data["base_url"],
        )

    async def add_channel(self, name: str, **more: Any) -> Channel:
        """Add a channel; `deny=["send_messages"]` applies to the bot, `parent=` makes it a thread.

        `kind=`, `overwrites=`, `post=` and so on: see control_api/guilds.py.
        """
        return Channel.of(await self._ask("POST", "/channels", {"name": name} | more))

    async def change_channel(self, channel: str, **changes: Any) -> Channel:
        """Change `allow`, `deny` (both are replaced), `name`, `archived`, `locked`, `slowmode`."""
        return Channel.of(await self._ask("PATCH", f"/channels/{channel}", changes))

    async def remove_channel(self, channel: str) -> None:
        """Delete a channel."""
        await self._ask("DELETE", f"/channels/{channel}")

    async def add_user(self, name: str, *, bot: bool = False) -> User:
        """Add a user to the first guild."""
        return User.of(await self._ask("POST", "/users", {"name": name, "bot": bot}))

    async def open_dms(self, user: str, *, to_bot: bool) -> User:
        """Set whether a user accepts DMs from the bot."""
        return User.of(await self._ask("PATCH", f"/users/{user}", {"dm_open": to_bot}))

    async def add_role(
        self, name: str, members: Sequence[str] = (), *, manages: bool = False, **more: Any
    ) -> str:
        """Add a role with members to the first guild; return its id. `mentionable=`, `allow=`."""
        body = {"name": name, "members": list(members), "manages": manages} | more
        return str((await self._ask("POST", "/roles", body))["id"])

    async def change_member(self, user: str, **changes: Any) -> None:
        """Change `nick`, `timeout` (seconds), `roles` (by name) of a member of the first guild."""
        await self._ask("PATCH", f"/members/{user}", changes)

    async def add_webhook(self, name: str) -> User:
        """Add a webhook; it posts by `say(author=name)`."""
        return User.of(await self._ask("POST", "/webhooks", {"name": name}))

    async def open_webhook(self, name: str, channel: str) -> str:
        """Add a webhook that posts into CHANNEL; return its URL, which is a credential."""
        opened = await self._ask("POST", "/webhooks", {"name": name, "channel": channel})
        base = (await self._ask("GET", "/world"))["base_url"]
        return f"{base}{opened['path']}"

    async def managed_role(self) -> str:
        """Return the id of the bot's own role in the first guild."""
        roles = (await self.world()).guilds[0]["roles"]
        return str(next(each["id"] for each in roles if each["managed"]))

    async def block_words(self, *words: str) -> None:
        """Make AutoMod block bot messages that contain one of these words; none: no blocking."""
        await self._ask("PUT", "/automod", {"words": list(words)})

    async def add_guild(
        self, name: str, *, channels: int = 1, members: int = 0, **more: Any
    ) -> None:
        """Add a guild with so many channels and new members (0: every existing user), and the bot.

        `roles=`, `emojis=` and `lived_in=True` make it resemble a guild in real use.
        """
        body = {"name": name, "channels": channels, "members": members} | more
        await self._ask("POST", "/guilds", body)

    # The server

    async def counts(self) -> Counts:
        """Return all counters."""
        return Counts.of(await self._ask("GET", "/counts"))

    async def reset_counts(self) -> None:
        """Reset the counters."""
        await self._ask("DELETE", "/counts")

    async def sessions(self) -> tuple[Session, ...]:
        """Return the gateway sessions, live or waiting for a RESUME."""
        return tuple(map(Session.of, await self._ask("GET", "/sessions")))

    async def revoke(self, code: int = 4004) -> int:
        """Close all live sessions with a code; return how many."""
        return int((await self._ask("POST", "/sessions/revoke", {"code": code}))["closed"])

    async def ask_heartbeat(self) -> None:
        """Make the server request a heartbeat (op 1) from every client."""
        await self._ask("POST", "/sessions/beat")

    async def reset(self) -> None:
        """Reset the server to its initial state, before a new bot connects; sessions are cut.

        This covers world, messages, token, faults, settings, counters and AutoMod.
        """
        await self._ask("POST", "/reset")

    async def accept_token(self, token: str) -> None:
        """Accept only this token from now on, as after a reset in the developer portal."""
        await self._ask("PUT", "/token", {"token": token})

    async def fault(self, where: str, kind: str, **more: Any) -> Fault:
        """Inject a fault; faults.py lists them."""
        return Fault.of(await self._ask("POST", "/faults", {"where": where, "kind": kind} | more))

    async def end_faults(self) -> None:
        """End every fault."""
        await self._ask("DELETE", "/faults")

    async def set(self, **changes: float) -> None:
        """Change settings; settings.py lists them."""
        await self._ask("PATCH", "/settings", changes)

    # Input that clients cannot parse

    async def inject(self, *events: tuple[str, Any]) -> None:
        """Send events, each a name and its data, unchanged."""
        await self._ask("POST", "/injection/events", {"events": list(events)})

    async def sent(self) -> list[tuple[str, Any]]:
        """Return the events that were sent to the newest session."""
        return [(name, data) for name, data in await self._ask("GET", "/injection/events")]

    async def inject_frame(self, frame: str | bytes) -> None:
        """Send a frame: text like any other payload, bytes unchanged."""
        body = {"text": frame}
        if isinstance(frame, bytes):
            body = {"base64": base64.b64encode(frame).decode()}
        await self._ask("POST", "/injection/frame", body)

    async def set_odd(self, messages: Mapping[str, Any]) -> None:
        """Replace what REST returns for messages, by id; None restores the real ones."""
        await self._ask("PUT", "/injection/messages", {"messages": messages})

    # Waiting

    @asynccontextmanager
    async def events(self, since: int | None = None) -> AsyncIterator[Stream]:
        """Open the stream of events; everything done inside the block is in it."""
        query = "" if since is None else f"?since={since}"
        async with self._session.ws_connect(f"{self._url}/events{query}") as ws:
            Event.of(await ws.receive_json())
            yield Stream(ws)

    async def wait_answer(
        self,
        message_id: str,
        predicate: Predicate | None = None,
        timeout: float = TIMEOUT,  # noqa: ASYNC109  the tests' own clock
    ) -> Message:
        """Wait for the first matching answer to a message; TimeoutError lists the others."""
        async with self.events() as stream:
            for each in await self.answers(message_id):
                if predicate is None or predicate(each):
                    return each
            try:
                return await stream.message(
                    lambda m: (
                        m.from_sky
                        and m.reply_to == message_id
                        and (predicate is None or predicate(m))
                    ),
                    timeout,
                )
            except TimeoutError:
                there = [each.content for each in await self.answers(message_id)]
                msg = f"no matching answer to {message_id} within {timeout} s; found: {there!r}"
                raise TimeoutError(msg) from None

    async def wait_interaction(
        self,
        interaction_id: str,
        predicate: Callable[[Interaction], bool] | None = None,
        timeout: float = TIMEOUT,  # noqa: ASYNC109  the tests' own clock
    ) -> Interaction:
        """Wait until an interaction matches; without a predicate, until acknowledged or failed."""
        enough = predicate or (lambda i: i.failed or i.response is not None)
        async with self.events() as stream:
            now = await self.interaction(interaction_id)
            while not enough(now):
                event = await stream.event(lambda e: e.kind == "interaction", timeout)
                if event.data["id"] == interaction_id:
                    now = Interaction.of(event.data)
            return now

    async def wait_live(self, sessions: int = 1, timeout: float = TIMEOUT) -> None:  # noqa: ASYNC109  the tests' own clock
        """Wait until exactly so many sessions are live."""
        async with self.events() as stream:
            while (await self.counts()).live_sessions != sessions:
                await stream.event(lambda e: e.kind in _COMINGS_AND_GOINGS, timeout)
