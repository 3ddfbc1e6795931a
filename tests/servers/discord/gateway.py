"""The gateway: IDENTIFY and RESUME, what their refusals are, and the commands of a session.

https://discord.com/developers/docs/events/gateway
"""

import asyncio
import contextlib
import secrets
from typing import Final

from aiohttp import web

from tests.servers.discord import connection, intents
from tests.servers.discord.compression import encoder
from tests.servers.discord.connection import Close, Connection
from tests.servers.discord.desk import Desk
from tests.servers.discord.errors import ApiError, Json
from tests.servers.discord.faults import Fault
from tests.servers.discord.hub import compact
from tests.servers.discord.members import chunk
from tests.servers.discord.session import Session

ENDS_SESSION: Final = frozenset({4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})
RESET: Final = 1006  # never sent: a connection that ended without a close frame
GOODBYE: Final = frozenset({1000, 1001})  # from the client
GUILDS_WITHOUT_SHARDS: Final = 2500
CLOSE_WAIT: Final = 2.0


class Gateway:
    """Handles the WebSocket route."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.connections: set[Connection] = set()
        self._identified: dict[int, float] = {}
        desk.tokens.on_change = self._token_changed

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        desk = self.desk
        fault = self._strike("connect")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status, text=fault.message)
        ws = web.WebSocketResponse(compress=False, timeout=CLOSE_WAIT, max_msg_size=1 << 16)
        await ws.prepare(request)
        try:
            if request.query.get("v") != "10" or request.query.get("encoding", "json") != "json":
                raise Close(4012, "Invalid API version or encoding.")  # noqa: TRY301  one exit for all
            encode = encoder(request.query.get("compress"))
        except (Close, ValueError) as wrong:
            desk.counts.not_known(f"gateway {request.query_string}")
            await ws.close(code=getattr(wrong, "code", 4002), message=str(wrong).encode()[:120])
            return ws
        conn = Connection(ws, request, encode, desk.settings.heartbeat_interval_ms / 1000)
        self.connections.add(conn)
        writer = asyncio.create_task(conn.write())
        try:
            await self._serve(conn, fault)
        finally:
            if conn.closing is None:  # else it waits for the client's close frame
                writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self.connections.discard(conn)
            self._detach(conn)
        return ws

    async def _serve(self, conn: Connection, fault: Fault | None) -> None:
        desk = self.desk
        interval = desk.settings.heartbeat_interval_ms
        conn.send_op(connection.HELLO, {"heartbeat_interval": interval, "_trace": ["sky"]})
        if fault is not None:
            self.disturb(conn, fault)
        try:
            while command := await conn.read(desk.settings.gateway_commands_per_minute):
                self._obey(conn, command)
        except Close as close:
            conn.shut(close.code, close.reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WAIT):
                    while conn.closing is None and not conn.ws.closed:
                        await conn.ws.receive()
        if conn.silent is not None:
            await desk.faults.hold(conn.silent)
            conn.abort()

    def _obey(self, conn: Connection, command: Json) -> None:
        op, data = command["op"], command.get("d")
        if op == connection.HEARTBEAT:
            self.desk.counts.heartbeats += 1
            if conn.acknowledges:
                conn.send_op(connection.ACK)
        elif op in (connection.IDENTIFY, connection.RESUME):
            if conn.session_id is not None:
                raise Close(4005, "Already authenticated.")
            if not isinstance(data, dict):
                raise Close(4002, "Error while decoding payload.")
            enter = self._identify if op == connection.IDENTIFY else self._resume
            enter(conn, data)
        elif conn.session_id is None:
            raise Close(4003, "Not authenticated.")
        elif op == connection.REQUEST_MEMBERS and isinstance(data, dict):
            self._send_members(conn.session_id, data)
        elif op != connection.PRESENCE:
            self.desk.counts.not_known(f"gateway op {op}")
            raise Close(4001, "Unknown opcode.")

    def _send_members(self, session_id: str, asked: Json) -> None:
        session = self.desk.hub.sessions.get(session_id)
        try:
            for body in chunk(self.desk.world, asked):
                if session is not None:
                    session.push("GUILD_MEMBERS_CHUNK", compact(body))
        except ApiError as unknown:
            self.desk.counts.not_known(f"gateway op 8: {unknown}")

    def _identify(self, conn: Connection, data: Json) -> None:
        desk = self.desk
        desk.counts.identifies += 1
        if self._interrupted(conn, "identify"):
            return
        try:
            number, of = self._checked(data)
        except Close as close:
            desk.counts.identifies_refused[str(close.code)] += 1
            raise
        key = number % max(1, desk.settings.max_concurrency)
        too_soon = desk.clock() - self._identified.get(key, -1e9) < desk.settings.identify_seconds
        if too_soon or desk.identifies_left() <= 0:
            desk.counts.identifies_refused["too soon" if too_soon else "spent"] += 1
            conn.send_op(connection.INVALID_SESSION, False)  # noqa: FBT003  the payload is a bare false
            return
        self._identified[key] = desk.clock()
        session = Session(secrets.token_hex(16), data["token"], data["intents"], (number, of))
        desk.hub.add(session, desk.settings.resume_seconds)
        self._attach(conn, session)
        guilds = [each for each in desk.world.guilds.values() if session.serves(each.id)]
        session.push("READY", compact(desk.ready(session, guilds, conn.host)))
        everyone = session.intents & (intents.GUILD_MEMBERS | intents.GUILD_PRESENCES)
        for guild in guilds if session.intents & intents.GUILDS else ():
            shown = guild.members.values() if everyone else [guild.members[desk.world.bot.id]]
            session.push("GUILD_CREATE", compact(desk.payloads.guild_create(guild, shown)))
        desk.feed.put("identify", {"session": session.id, "shard": [number, of]})

    def _checked(self, data: Json) -> tuple[int, int]:
        """The shard, when everything about an identify is right."""
        wanted, shard = data.get("intents"), data.get("shard", [0, 1])
        if not isinstance(data.get("token"), str) or not self.desk.tokens.accepts(data["token"]):
            raise Close(4004, "Authentication failed.")
        if not isinstance(wanted, int) or wanted < 0 or wanted & ~intents.KNOWN:
            raise Close(4013, "Invalid intent(s).")
        if wanted & intents.PRIVILEGED & ~self.desk.settings.privileged_intents:
            raise Close(4014, "Disallowed intent(s).")
        try:
            number, of = int(shard[0]), int(shard[1])
        except (TypeError, ValueError, IndexError):
            raise Close(4010, "Invalid shard.") from None
        if not 0 <= number < of:
            raise Close(4010, "Invalid shard.")
        mine = [g for g in self.desk.world.guilds if (g >> 22) % of == number]
        if len(mine) > GUILDS_WITHOUT_SHARDS:
            raise Close(4011, "Sharding required.")
        return number, of

    def _resume(self, conn: Connection, data: Json) -> None:
        desk = self.desk
        if self._interrupted(conn, "resume"):
            return
        token, seq = data.get("token"), data.get("seq")
        if not isinstance(token, str) or not desk.tokens.accepts(token):
            desk.counts.resumes_refused["4004"] += 1
            raise Close(4004, "Authentication failed.")
        desk.hub.forget(desk.settings.resume_seconds)
        session = desk.hub.sessions.get(str(data.get("session_id")))
        if session is not None and (not isinstance(seq, int) or seq > session.seq):
            desk.counts.resumes_refused["4007"] += 1
            raise Close(4007, "Invalid seq.")
        missed = session.missed(seq) if session is not None and isinstance(seq, int) else None
        if session is None or missed is None:
            desk.counts.resumes_refused["unknown session"] += 1
            conn.send_op(connection.INVALID_SESSION, False)  # noqa: FBT003  the payload is a bare false
            return
        if session.outlet is not None:
            session.outlet.shut(4000, "Resumed elsewhere.")
        self._attach(conn, session)
        for text in missed:
            conn.send(text)
        session.push("RESUMED", compact({"_trace": ["sky"]}))
        desk.counts.resumes += 1
        desk.feed.put("resume", {"session": session.id, "replayed": len(missed)})

    def _interrupted(self, conn: Connection, moment: str) -> bool:
        fault = self._strike(moment)
        if fault is not None:
            self.disturb(conn, fault)
        return fault is not None and fault.kind not in ("slow", "no_ack")

    def _strike(self, moment: str) -> Fault | None:
        fault = self.desk.faults.strike("gateway", moment, moment)
        if fault is not None:
            self.desk.counts.faults[f"gateway {fault.kind} on {moment}"] += 1
        return fault

    def disturb(self, conn: Connection, fault: Fault) -> None:
        """Play a fault on a connection."""
        match fault.kind:
            case "reconnect":
                conn.send_op(connection.RECONNECT)
            case "invalid_session":
                if not fault.resumable and conn.session_id:
                    self.desk.hub.sessions.pop(conn.session_id, None)
                conn.send_op(connection.INVALID_SESSION, fault.resumable)
            case "close" if fault.code == RESET:
                conn.abort()
            case "close":
                self._close(conn, fault.code or 4000, fault.message)
            case "black_hole":
                conn.fall_silent(fault)
            case "no_ack":
                conn.acknowledges = False
            case _:
                conn.slow = fault.delay

    def _token_changed(self) -> None:
        self.revoke(4004)

    def revoke(self, code: int, session_id: str | None = None) -> int:
        """Close live sessions, all or one, with a code; says how many."""
        mine = [c for c in self.connections if c.session_id and session_id in (None, c.session_id)]
        for conn in mine:
            self._close(conn, code, "Authentication failed." if code == 4004 else "")  # noqa: PLR2004  Discord's code
        return len(mine)

    def _close(self, conn: Connection, code: int, reason: str) -> None:
        if code in ENDS_SESSION and conn.session_id:
            self.desk.hub.sessions.pop(conn.session_id, None)
        conn.shut(code, reason)

    def _attach(self, conn: Connection, session: Session) -> None:
        conn.session_id, session.outlet = session.id, conn

    def _detach(self, conn: Connection) -> None:
        """The connection has ended; its session waits for a RESUME, if it may."""
        # aiohttp's close_code says 1000 for what we closed ourselves.
        ours = conn.closing is not None
        code = conn.closing if ours else conn.ws.close_code
        self.desk.counts.closes[f"{'server' if ours else 'client'} {code and int(code)}"] += 1
        session = self.desk.hub.sessions.get(conn.session_id or "")
        if session is not None and session.outlet is conn:
            session.outlet, session.left_at = None, self.desk.clock()
            if code in ENDS_SESSION or (code in GOODBYE and not ours):
                del self.desk.hub.sessions[session.id]
        self.desk.feed.put("disconnect", {"session": conn.session_id, "code": code})
