"""Validation of requests to the vault: api-version, parameters, body."""

import json
import re
from typing import Any

from aiohttp import web

from . import errors

# The versions in use in this repository: the CSI provider's and azure-keyvault-secrets'.
API_VERSIONS = ("7.4", "2026-04-01")
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_MAX_VALUE = 25 * 1024
_MAX_TAGS = 15
_PAGE = 25

Json = dict[str, Any]


def check_query(request: web.Request, *known: str) -> None:
    """Refuse an unknown api-version or parameter. Raises Refused."""
    version = request.query.get("api-version")
    if version is None:
        raise errors.bad_parameter("The parameter api-version must be specified.")
    if version not in API_VERSIONS:
        raise errors.bad_parameter(
            f"The specified version ({version}) is not recognized. Consider using the latest "
            f"supported version ({API_VERSIONS[-1]})."
        )
    if unknown := set(request.query) - {"api-version", *known}:
        raise errors.bad_parameter(
            f"The test server does not support {', '.join(sorted(unknown))}."
        )


def check_name(name: str) -> None:
    """Refuse an invalid secret name. Raises Refused."""
    if not _NAME.fullmatch(name):
        raise errors.bad_parameter(
            f"The request URI contains an invalid name: {name}. Names are 1-127 characters of "
            "0-9, a-z, A-Z and -."
        )


async def body(request: web.Request, *known: str) -> Json:
    """Return the JSON object that was sent. Raises Refused for unsupported fields."""
    try:
        sent = json.loads(await request.read() or b"{}")
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise errors.bad_parameter("Bad JSON content found in the request.")
    if unknown := set(sent) - set(known):
        raise errors.bad_parameter(
            f"The test server does not support {', '.join(sorted(unknown))}."
        )
    return sent


def value_of(sent: Json) -> str:
    """Return the value to set; an empty one is accepted, as Azure does. Raises Refused."""
    value = sent.get("value")
    if not isinstance(value, str):
        raise errors.bad_parameter("The value of the secret must be specified.")
    if len(value.encode()) > _MAX_VALUE:
        raise errors.bad_parameter(f"The value is longer than {_MAX_VALUE} bytes.")
    return value


def details_of(sent: Json) -> Json:
    """Return the other properties of a version, by the store's names. Raises Refused."""
    attributes = sent.get("attributes") or {}
    if not isinstance(attributes, dict) or (set(attributes) - {"enabled", "nbf", "exp"}):
        raise errors.bad_parameter("The supported attributes are enabled, nbf and exp.")
    details: Json = {}
    for theirs, ours, kind in (
        ("enabled", "enabled", bool),
        ("nbf", "not_before", int),
        ("exp", "expires", int),
    ):
        if attributes.get(theirs) is not None:
            if not isinstance(attributes[theirs], kind):
                raise errors.bad_parameter(f"The attribute {theirs} has an invalid value.")
            details[ours] = attributes[theirs]
    if details.get("not_before", 0) >= details.get("expires", float("inf")):
        raise errors.bad_parameter("The attribute exp must be after nbf.")
    if sent.get("contentType") is not None:
        details["content_type"] = str(sent["contentType"])
    if sent.get("tags") is not None:
        if len(sent["tags"]) > _MAX_TAGS:
            raise errors.bad_parameter(f"There are more than {_MAX_TAGS} tags.")
        details["tags"] = {str(key): str(value) for key, value in sent["tags"].items()}
    return details


def page(request: web.Request, items: list[Json], url: str) -> web.Response:
    """Return one page of ITEMS and the URL of the next. Raises Refused."""
    try:
        size = int(request.query.get("maxresults", _PAGE))
        skip = int(request.query.get("$skiptoken", "0"))
    except ValueError:
        raise errors.bad_parameter("maxresults and $skiptoken must be numbers.") from None
    if not 1 <= size <= _PAGE:
        raise errors.bad_parameter(f"maxresults must be between 1 and {_PAGE}.")
    left = items[skip + size :]
    version = request.query["api-version"]
    following = f"{url}?api-version={version}&$skiptoken={skip + size}&maxresults={size}"
    return web.json_response(
        {"value": items[skip : skip + size], "nextLink": following if left else None}
    )
