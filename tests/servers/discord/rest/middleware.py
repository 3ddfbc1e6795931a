"""Middleware for every REST request: counters, faults, token, rate limits, Discord's headers."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from tests.servers.discord import errors
from tests.servers.discord.errors import ApiError
from tests.servers.discord.faults import Fault
from tests.servers.discord.limits import EXEMPT_FROM_GLOBAL, RULES, Rule, Verdict
from tests.servers.discord.rest.base import PREFIX, answer, state_of
from tests.servers.discord.state import ServerState

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# discord.py takes a 429 without Via for a ban by Cloudflare, and raises at once.
VIA: Final = {"Via": "1.1 google"}
_EDGE: Final = {"Server": "cloudflare", "CF-RAY": "8f2b5c4d3e2a1b00-AMS"}
_MAJOR: Final = ("channel_id", "guild_id", "webhook_id", "token")
_FILES: Final = ("/attachments/", "/embed/")
_WITHOUT_TOKEN: Final = ("/gateway", "/interactions/", "/webhooks/", "/api/webhooks/")
_NO_RULE: Final = Rule("", 0, 0.0)
_HTML: Final = """<!DOCTYPE html>
<html lang="en-US">
<head><title>{0} {1} | discord.com | Cloudflare</title></head>
<body><h1>Error {0}</h1><p>{1}</p><p>Cloudflare Ray ID: 8f2b5c4d3e2a1b00</p></body>
</html>
"""


def route_name(request: web.Request) -> str:
    """Return a name such as `GET /channels/{channel_id}`; without a route, the plain path."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else request.path
    return f"{request.method} {path.removeprefix(PREFIX)}"


@web.middleware
async def discord(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Process a request: everything before and after its route."""
    state = state_of(request)
    name = route_name(request)
    if not request.path.startswith("/api/"):
        return await _outside_api(state, request, handler, name)
    unknown = request.match_info.http_exception
    if unknown is not None:
        state.counts.not_known(name)
        state.events.put("unknown", {"request": name})
        wrong = errors.METHOD_NOT_ALLOWED if unknown.status == 405 else errors.NOT_FOUND  # noqa: PLR2004  HTTP
        return answer(ApiError(*wrong).body(), unknown.status)
    state.counts.requests[name] += 1
    response = await _with_faults(state, request, handler, name)
    state.counts.statuses[str(response.status)] += 1
    if response.headers.get("Server") != _EDGE["Server"]:
        response.headers.update(VIA)
    return response


async def _outside_api(
    state: ServerState, request: web.Request, handler: Handler, name: str
) -> web.StreamResponse:
    """Serve the gateway and the CDN, which need no token and have no limits; else 404."""
    if request.match_info.http_exception is not None:
        state.counts.not_known(name)
        return answer(ApiError(*errors.NOT_FOUND).body(), 404)
    is_file = request.path.startswith(_FILES)
    fault = state.faults.match("cdn", name) if is_file else None
    if fault is None:
        return await handler(request)
    state.counts.faults[f"cdn {fault.kind}"] += 1
    if fault.kind == "slow":
        await asyncio.sleep(fault.delay)
        return await handler(request)
    return await _fault_response(state, request, fault)


async def _with_faults(
    state: ServerState, request: web.Request, handler: Handler, name: str
) -> web.StreamResponse:
    fault = state.faults.match("rest", name)
    if fault is None:
        return await _limited(state, request, handler, name)
    state.counts.faults[f"rest {fault.kind}"] += 1
    if fault.kind == "unreadable":
        await _limited(state, request, handler, name)
        kind = "text/html" if fault.html else "application/json"
        return web.Response(text=fault.body, content_type=kind)
    if fault.after or fault.kind == "slow":
        if fault.kind == "slow" and not fault.after:
            await asyncio.sleep(fault.delay)
        response = await _limited(state, request, handler, name)
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay if fault.after else 0)
            return response
    return await _fault_response(state, request, fault)


async def _fault_response(
    state: ServerState, request: web.Request, fault: Fault
) -> web.StreamResponse:
    """Return the response that a fault causes."""
    match fault.kind:
        case "error":
            refusal = ApiError(fault.status, fault.code, fault.message, fault.errors)
            return _from_edge(answer(refusal.body(), fault.status), fault)
        case "rate_limit":
            pause = state.faults.pause(fault)
            return _from_edge(_too_many(fault.scope, pause, fault.code), fault)
        case "black_hole":
            await state.faults.hold(fault)
        case "status" if fault.html:
            page = _HTML.format(fault.status, fault.message)
            response = web.Response(status=fault.status, text=page, content_type="text/html")
            return _from_edge(response, fault)
        case "status":
            return _from_edge(answer({"message": fault.message, "code": 0}, fault.status), fault)
    if request.transport is not None:  # drop, or the end of a black hole
        request.transport.abort()
    return web.Response(status=500)


def _from_edge(response: web.Response, fault: Fault) -> web.Response:
    """Return a response in Cloudflare's form, if the fault is one of Cloudflare's."""
    if fault.edge or fault.html:
        for name in ("X-RateLimit-Scope", "X-RateLimit-Global"):
            response.headers.pop(name, None)
        response.headers.update(_EDGE)
        if fault.status == HTTPStatus.TOO_MANY_REQUESTS and fault.kind == "status":
            response.headers["Retry-After"] = str(math.ceil(fault.retry_after))
    return response


async def _limited(
    state: ServerState, request: web.Request, handler: Handler, name: str
) -> web.StreamResponse:
    path = request.path.removeprefix(PREFIX)
    verdict: Verdict | None = None
    try:
        if not path.startswith(_WITHOUT_TOKEN) or path == "/gateway/bot":
            _authorize(state, request)
        major = "+".join(request.match_info.get(each, "") for each in _MAJOR)
        exempt = path.startswith(EXEMPT_FROM_GLOBAL)
        verdict = state.limits.take(RULES.get(name), major, exempt=exempt)
        if verdict is not None and not verdict.allowed:
            state.counts.rate_limited[f"{verdict.scope} {name}"] += 1
            state.events.put("rate_limited", {"request": name, "scope": verdict.scope})
            code = errors.DMS_TOO_FAST[0] if verdict.rule.bucket == "dms" else 0
            response: web.StreamResponse = _too_many(verdict.scope, verdict.reset_after, code)
        else:
            response = await handler(request)
    except ApiError as refusal:
        response = answer(refusal.body(), refusal.status)
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = str(math.ceil(refusal.retry_after))
            response.headers["X-RateLimit-Scope"] = "user"
    except (TypeError, ValueError, AttributeError, LookupError) as odd:
        # A body that no route here handles: count it like an unknown route.
        log.exception("%s", name)
        state.counts.not_known(f"body of {name}: {odd!r}"[:200])
        response = answer(ApiError(*errors.BAD_JSON).body(), 400)
    if verdict is not None and verdict.scope != "global":
        response.headers.update(_headers(verdict))
    return response


def _authorize(state: ServerState, request: web.Request) -> None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bot" or not state.tokens.accepts(token):
        state.counts.unauthorized += 1
        raise ApiError(*errors.UNAUTHORIZED)


def _headers(verdict: Verdict) -> dict[str, str]:
    """Return the headers; times are rounded up, so that waiting exactly as long is enough."""
    after = math.ceil(verdict.reset_after * 1000) / 1000
    return {
        "X-RateLimit-Limit": str(verdict.rule.limit),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": f"{time.time() + after:.3f}",
        "X-RateLimit-Reset-After": f"{after:.3f}",
        "X-RateLimit-Bucket": f"sky-{verdict.rule.bucket}",
    }


_WORDS: Final = dict(
    [
        errors.DMS_TOO_FAST,
        errors.OLD_EDITS[1:],
        errors.SLOW_MODE[1:],
        (20028, "The write action you are performing on the channel has hit the write rate limit"),
    ]
)


def _too_many(scope: str, after: float, code: int = 0) -> web.Response:
    after = math.ceil(after * 1000) / 1000
    is_global = scope == "global"
    body = {
        "message": _WORDS.get(code, "You are being rate limited."),
        "retry_after": after,
        "global": is_global,
    } | ({"code": code} if code else {})
    response = answer(body, 429)
    response.headers["Retry-After"] = str(math.ceil(after))
    response.headers["X-RateLimit-Scope"] = scope
    if is_global:
        response.headers["X-RateLimit-Global"] = "true"
    return response
