"""Commit statuses as GitHub keeps them, for the commits of one Git repository.

https://docs.github.com/en/rest/commits/statuses
Below /api/v3, where clients look on a host that is not github.com.
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
MOST_STATUSES: Final = 1000  # of one context on one commit
_PAGE: Final = 30

Json = dict[str, Any]


class Refused(Exception):
    """GitHub's answer where it does not do what was asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GitHubServer:
    """One repository, one token that may read and write its commit statuses."""

    def __init__(self, repository: str, git: Path, token_file: Path) -> None:
        self._repository = repository
        self._git = git
        self._token_file = token_file
        self._statuses: dict[str, list[Json]] = defaultdict(list)

    def application(self) -> web.Application:
        """Build the web application."""
        repository = "/api/v3/repos/{owner}/{name}"
        app = web.Application(middlewares=[_in_githubs_words])
        app.router.add_get(repository + "/commits/{ref}/statuses", self._list)
        app.router.add_post(repository + "/statuses/{ref}", self._create)
        return app

    async def _commit(self, request: web.Request) -> str:
        """Check token and repository; return the commit that the request is about."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        wanted = self._token_file.read_text().strip()
        if scheme not in {"Bearer", "token"} or not secrets.compare_digest(token, wanted):
            raise Refused(401, "Bad credentials")
        ref = request.match_info["ref"]
        if "{owner}/{name}".format(**request.match_info) != self._repository:
            raise Refused(404, "Not Found")
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
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise Refused(400, "Problems parsing JSON") from None
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


@web.middleware
async def _in_githubs_words(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Refused as refused:
        return web.json_response({"message": str(refused)}, status=refused.status)
    except web.HTTPNotFound:
        return web.json_response({"message": "Not Found"}, status=404)
    return response
