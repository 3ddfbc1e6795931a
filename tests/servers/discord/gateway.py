"""The gateway: IDENTIFY and RESUME, how they are refused, and a session's commands.

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
from tests.servers.discord.errors import ApiError, Json
from tests.servers.discord.faults import Fault
from tests.servers.discord.member_chunks import chunk
from tests.servers.discord.sessions import Session, compact
from tests.servers.discord.state import ServerState

ENDS_SESSION: Final = frozenset({4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})
RESET: Final = 1006  # never sent: a connection that ended without a close frame
GOODBYE: Final = frozenset({1000, 1001})  # from the client
GUILDS_WITHOUT_SHARDS: Final = 2500
CLOSE_WAIT: Final = 2.0


class Gateway:
    """Handles the WebSocket route."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.connections: set[Connection] = set()
        self._identified: dict[int, float] = {}
        state.tokens.on_change = self._token_changed

    def forget_identifies(self) -> None:
        """Clear the rate limit of identifies."""
        self._identified.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection, from its handshake to its end."""
        state = self.state
        state.counts.connections += 1
        fault = self._matching_fault("connect")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status, text=fault.message)
        ws = web.WebSocketResponse(compress=False, timeout=CLOSE_WAIT, max_msg_size=1 << 16)
        await ws.prepare(request)
        try:
            if request.query.get("v") != "10" or request.query.get("encoding", "json") != "json":
                raise Close(4012, "Invalid API version or encoding.")  # noqa: TRY301  one exit for all
            encode = encoder(request.query.get("compress"))
        except (Close, ValueError) as wrong:
            state.counts.not_known(f"gateway {request.query_string}")
            await ws.close(code=getattr(wrong, "code", 4002), message=str(wrong).encode()[:120])
            return ws
        conn = Connection(ws, request, encode, state.settings.heartbeat_interval_ms / 1000)
        self.connections.add(conn)
        writer = asyncio.create_task(conn.write())
        try:
            await self._serve(conn, fault)
        finally:
            if conn.closing is None:  # otherwise the server waits for the client's close frame
                writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self.connections.discard(conn)
            self._detach(conn)
        return ws

    async def _serve(self, conn: Connection, fault: Fault | None) -> None:
        state = self.state
        interval = state.settings.heartbeat_interval_ms
        conn.send_op(connection.HELLO, {"heartbeat_interval": interval, "_trace": ["sky"]})
        if fault is not None:
            self.apply_fault(conn, fault)
        try:
            while command := await conn.read(state.settings.gateway_commands_per_minute):
                self._handle_command(conn, command)
        except Close as close:
            conn.shut(close.code, close.reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WAIT):
                    while conn.closing is None and not conn.ws.closed:
                        await conn.ws.receive()
        if conn.silent is not None:
            await state.faults.hold(conn.silent)
            conn.abort()

    def _handle_command(self, conn: Connection, command: Json) -> None:
        op, data = command["op"], command.get("d")
        if op == connection.HEARTBEAT:
            self.state.counts.heartbeats += 1
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
            self.state.counts.not_known(f"gateway op {op}")
            raise Close(4001, "Unknown opcode.")

    def _send_members(self, session_id: str, asked: Json) -> None:
        session = self.state.sessions.by_id.get(session_id)
        try:
            for body in chunk(self.state.world, asked):
                if session is not None:
                    session.push("GUILD_MEMBERS_CHUNK", compact(body))
        except ApiError as unknown:
            self.state.counts.not_known(f"gateway op 8: {unknown}")

    def _identify(self, conn: Connection, data: Json) -> None:
        state = self.state
        state.counts.identifies += 1
        if self._interrupted(conn, "identify"):
            return
        try:
            number, of = self._checked(data)
        except Close as close:
            state.counts.identifies_refused[str(close.code)] += 1
            raise
        key = number % max(1, state.settings.max_concurrency)
        too_soon = state.clock() - self._identified.get(key, -1e9) < state.settings.identify_seconds
        if too_soon or state.identifies_left() <= 0:
            state.counts.identifies_refused["too soon" if too_soon else "spent"] += 1
            conn.send_op(connection.INVALID_SESSION, False)  # noqa: FBT003  the payload is a bare false
            return
        self._identified[key] = state.clock()
        session = Session(secrets.token_hex(16), data["token"], data["intents"], (number, of))
        state.sessions.add(session, state.settings.resume_seconds)
        self._attach(conn, session)
        guilds = [each for each in state.world.guilds.values() if session.serves(each.id)]
        session.push("READY", compact(state.ready(session, guilds, conn.host)))
        everyone = session.intents & (intents.GUILD_MEMBERS | intents.GUILD_PRESENCES)
        for guild in guilds if session.intents & intents.GUILDS else ():
            shown = guild.members.values() if everyone else [guild.members[state.world.bot.id]]
            session.push("GUILD_CREATE", compact(state.payloads.guild_create(guild, shown)))
        state.events.put("identify", {"session": session.id, "shard": [number, of]})

    def _checked(self, data: Json) -> tuple[int, int]:
        """Check an identify; return its shard."""
        wanted, shard = data.get("intents"), data.get("shard", [0, 1])
        if not isinstance(data.get("token"), str) or not self.state.tokens.accepts(data["token"]):
            raise Close(4004, "Authentication failed.")
        if not isinstance(wanted, int) or wanted < 0 or wanted & ~intents.KNOWN:
            raise Close(4013, "Invalid intent(s).")
        if wanted & intents.PRIVILEGED & ~self.state.settings.privileged_intents:
            raise Close(4014, "Disallowed intent(s).")
        try:
            number, of = int(shard[0]), int(shard[1])
        except (TypeError, ValueError, IndexError):
            raise Close(4010, "Invalid shard.") from None
        if not 0 <= number < of:
            raise Close(4010, "Invalid shard.")
        mine = [g for g in self.state.world.guilds if (g >> 22) % of == number]
        if len(mine) > GUILDS_WITHOUT_SHARDS:
            raise Close(4011, "Sharding required.")
        return number, of

    def _resume(self, conn: Connection, data: Json) -> None:
        state = self.state
        if self._interrupted(conn, "resume"):
            return
        token, seq = data.get("token"), data.get("seq")
        if not isinstance(token, str) or not state.tokens.accepts(token):
            state.counts.resumes_refused["4004"] += 1
            raise Close(4004, "Authentication failed.")
        state.sessions.forget(state.settings.resume_seconds)
        session = state.sessions.by_id.get(str(data.get("session_id")))
        if session is not None and (not isinstance(seq, int) or seq > session.seq):
            state.counts.resumes_refused["4007"] += 1
            raise Close(4007, "Invalid seq.")
        missed = session.missed(seq) if session is not None and isinstance(seq, int) else None
        if session is None or missed is None:
            state.counts.resumes_refused["unknown session"] += 1
            conn.send_op(connection.INVALID_SESSION, False)  # noqa: FBT003  the payload is a bare false
            return
        if session.transport is not None:
            session.transport.shut(4000, "Resumed elsewhere.")
        self._attach(conn, session)
        for text in missed:
            conn.send(text)
        session.push("RESUMED", compact({"_trace": ["sky"]}))
        state.counts.resumes += 1
        state.events.put("resume", {"session": session.id, "replayed": len(missed)})

    def _interrupted(self, conn: Connection, moment: str) -> bool:
        fault = self._matching_fault(moment)
        if fault is not None:
            self.apply_fault(conn, fault)
        return fault is not None and fault.kind not in ("slow", "no_ack")

    def _matching_fault(self, moment: str) -> Fault | None:
        fault = self.state.faults.match("gateway", moment, moment)
        if fault is not None:
            self.state.counts.faults[f"gateway {fault.kind} on {moment}"] += 1
        return fault

    def apply_fault(self, conn: Connection, fault: Fault) -> None:
        """Apply a fault to a connection."""
        match fault.kind:
            case "reconnect":
                conn.send_op(connection.RECONNECT)
            case "invalid_session":
                if not fault.resumable and conn.session_id:
                    self.state.sessions.by_id.pop(conn.session_id, None)
                conn.send_op(connection.INVALID_SESSION, fault.resumable)
            case "close" if fault.code == RESET:
                conn.abort()
            case "close":
                self._close(conn, fault.code or 4000, fault.message)
            case "black_hole":
                conn.stop_traffic(fault)
            case "no_ack":
                conn.acknowledges = False
            case _:
                conn.slow = fault.delay

    def _token_changed(self) -> None:
        self.revoke(4004)

    def revoke(self, code: int, session_id: str | None = None) -> int:
        """Close live sessions, all or one, with a code; return how many."""
        mine = [c for c in self.connections if c.session_id and session_id in (None, c.session_id)]
        for conn in mine:
            self._close(conn, code, "Authentication failed." if code == 4004 else "")  # noqa: PLR2004  Discord's code
        return len(mine)

    def _close(self, conn: Connection, code: int, reason: str) -> None:
        if code in ENDS_SESSION and conn.session_id:
            self.state.sessions.by_id.pop(conn.session_id, None)
        conn.shut(code, reason)

    def _attach(self, conn: Connection, session: Session) -> None:
        conn.session_id, session.transport = session.id, conn

    def _detach(self, conn: Connection) -> None:
        """Detach the session from an ended connection; it waits for a RESUME, if allowed."""
        # aiohttp's close_code is 1000 for connections that we closed ourselves.
        ours = conn.closing is not None
        code = conn.closing if ours else conn.ws.close_code
        self.state.counts.closes[f"{'server' if ours else 'client'} {code and int(code)}"] += 1
        session = self.state.sessions.by_id.get(conn.session_id or "")
        if session is not None and session.transport is conn:
            session.transport, session.left_at = None, self.state.clock()
            if code in ENDS_SESSION or (code in GOODBYE and not ours):
                del self.state.sessions.by_id[session.id]
        self.state.events.put("disconnect", {"session": conn.session_id, "code": code})
