"""Commit statuses and repository dispatches, as GitHub handles them, for one Git repository.

https://docs.github.com/en/rest/commits/statuses
https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
The routes are below /api/v3, as clients expect on any host but github.com.
"""

import asyncio
import json
import secrets
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from aiohttp import web

STATES: Final = ("error", "failure", "pending", "success")
LONGEST_DESCRIPTION: Final = 140
MOST_STATUSES: Final = 1000  # for one context on one commit
LONGEST_EVENT_TYPE: Final = 100
MOST_PROPERTIES: Final = 10  # in a client_payload
LARGEST_PAYLOAD: Final = 64 * 1024  # bytes
_PAGE: Final = 30

Json = dict[str, Any]


class Refused(Exception):
    """An error response of GitHub."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GitHubServer:
    """One repository, and two fine-grained tokens: for its commit statuses, and for its contents.

    Every dispatched event is a file in `events`, sorted by name, with the content that a runner
    finds in $GITHUB_EVENT_PATH.
    """

    def __init__(
        self, repository: str, git: Path, token_file: Path, dispatch_token_file: Path, events: Path
    ) -> None:
        self._repository = repository
        self._git = git
        self._token_file = token_file
        self._dispatch_token_file = dispatch_token_file
        self._events = events
        self._events.mkdir(parents=True, exist_ok=True)
        self._statuses: dict[str, list[Json]] = defaultdict(list)

    def application(self) -> web.Application:
        """Build the web application."""
        repository = "/api/v3/repos/{owner}/{name}"
        app = web.Application(middlewares=[_in_githubs_words])
        app.router.add_get(repository + "/commits/{ref}/statuses", self._list)
        app.router.add_post(repository + "/statuses/{ref}", self._create)
        app.router.add_post(repository + "/dispatches", self._dispatch)
        return app

    def _authorize(self, request: web.Request, wanted: Path) -> None:
        """Check that the request is for this repository and has the token in WANTED."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = [
            file
            for file in (self._token_file, self._dispatch_token_file)
            if secrets.compare_digest(token, file.read_text().strip())
        ]
        if scheme not in {"Bearer", "token"} or not known:
            raise Refused(401, "Bad credentials")
        if "{owner}/{name}".format(**request.match_info) != self._repository:
            raise Refused(404, "Not Found")
        if wanted not in known:
            raise Refused(403, "Resource not accessible by personal access token")

    async def _commit(self, request: web.Request) -> str:
        """Check token and repository; return the commit that the request is about."""
        self._authorize(request, self._token_file)
        ref = request.match_info["ref"]
        git = ("git", "--git-dir", str(self._git), "cat-file", "-e", f"{ref}^{{commit}}")
        process = await asyncio.create_subprocess_exec(*git, stderr=asyncio.subprocess.DEVNULL)
        if await process.wait() != 0:
            raise Refused(422, f"No commit found for SHA: {ref}")
        return ref

    async def _list(self, request: web.Request) -> web.Response:
        commit = await self._commit(request)
        count = min(int(request.query.get("per_page", _PAGE)), 100)
        start = (int(request.query.get("page", 1)) - 1) * count
        newest_first = self._statuses[commit][::-1]
        return web.json_response(newest_first[start : start + count])

    async def _create(self, request: web.Request) -> web.Response:
        commit = await self._commit(request)
        body = await _body(request)
        description = body.get("description") or ""
        if body.get("state") not in STATES or len(description) > LONGEST_DESCRIPTION:
            raise Refused(422, "Validation Failed")
        status = {
            "id": sum(map(len, self._statuses.values())) + 1,
            "state": body["state"],
            "description": description,
            "context": body.get("context") or "default",
            "target_url": body.get("target_url"),
        }
        of_context = [one for one in self._statuses[commit] if one["context"] == status["context"]]
        if len(of_context) >= MOST_STATUSES:
            raise Refused(422, "Validation Failed")
        self._statuses[commit].append(status)
        return web.json_response(status, status=201)

    async def _dispatch(self, request: web.Request) -> web.Response:
        self._authorize(request, self._dispatch_token_file)
        body = await _body(request)
        event_type, payload = body.get("event_type"), body.get("client_payload", {})
        if not isinstance(event_type, str) or not 0 < len(event_type) <= LONGEST_EVENT_TYPE:
            raise Refused(422, 'Invalid request.\n\n"event_type" is missing or too long.')
        if not isinstance(payload, dict):
            raise Refused(
                422, "Invalid request.\n\nFor 'properties/client_payload', not an object."
            )
        if len(payload) > MOST_PROPERTIES:
            raise Refused(
                422,
                f"Invalid request.\n\nNo more than {MOST_PROPERTIES} properties are allowed; "
                f"{len(payload)} were supplied.",
            )
        if len(json.dumps(payload)) >= LARGEST_PAYLOAD:
            raise Refused(422, "client_payload is too large.")
        event = {
            "action": event_type,
            "branch": "main",
            "client_payload": payload,
            "repository": {"full_name": self._repository, "default_branch": "main"},
        }
        file = self._events / f"{len(list(self._events.glob('*.json'))) + 1:06}.json"
        part = file.with_suffix(".part")
        part.write_text(json.dumps(event, indent=1) + "\n")
        part.rename(file)  # so that a file is never visible half-written
        return web.Response(status=204)


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise Refused(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "Body should be a JSON object")
    return body


@web.middleware
async def _in_githubs_words(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Refused as refused:
        return web.json_response({"message": str(refused)}, status=refused.status)
    except web.HTTPNotFound:
        return web.json_response({"message": "Not Found"}, status=404)
    return response
