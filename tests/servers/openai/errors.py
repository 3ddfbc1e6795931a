"""Errors as OpenAI writes them: a status and one JSON object under "error"."""

from collections.abc import Mapping
from typing import Any

MASK_HEAD, MASK_TAIL, MASK_LEAST = 7, 4, 12


class ApiError(Exception):
    """Refuses a request; the server turns it into a response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Give the JSON body."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def masked(key: str) -> str:
    """Show a key as OpenAI does in its 401: both ends and stars (so never log that message)."""
    if len(key) < MASK_LEAST:
        return "*" * len(key)
    hidden = "*" * (len(key) - MASK_HEAD - MASK_TAIL)
    return f"{key[:MASK_HEAD]}{hidden}{key[-MASK_TAIL:]}"


def no_key() -> ApiError:
    """401 for a request without a bearer key."""
    return ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization"
        " header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        headers={"WWW-Authenticate": 'Bearer realm="OpenAI API"'},
    )


def wrong_key(key: str) -> ApiError:
    """401 for a key that is not accepted (any more)."""
    return ApiError(401, f"Incorrect API key provided: {masked(key)}.", code="invalid_api_key")


def forbidden() -> ApiError:
    """403 for a key that may not do this."""
    return ApiError(
        403,
        "You have insufficient permissions for this operation. Missing scopes: model.request.",
        code="missing_scope",
    )


def model_not_found(model: str) -> ApiError:
    """404 for a model that does not exist or that this key may not use."""
    return ApiError(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def context_length() -> ApiError:
    """400 for a conversation that the model's context cannot hold."""
    return ApiError(
        400,
        "Your input exceeds the context window of this model. Please adjust your input.",
        code="context_length_exceeded",
        param="input",
    )


def rate_limit(model: str, retry_after: float) -> ApiError:
    """429 for too many requests, with the headers that say when to come back."""
    return ApiError(
        429,
        f"Rate limit reached for {model} on requests per min (RPM): Limit 3, Used 3, Requested 1."
        f" Please try again in {retry_after:g}s.",
        kind="requests",
        code="rate_limit_exceeded",
        headers={
            "retry-after": f"{retry_after:g}",
            "retry-after-ms": f"{retry_after * 1000:.0f}",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{retry_after:g}s",
        },
    )


def quota() -> ApiError:
    """429 for an account without money: looks like a rate limit, but waiting does not help."""
    return ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        kind="insufficient_quota",
        code="insufficient_quota",
    )


def server_error() -> ApiError:
    """500."""
    return ApiError(
        500,
        "The server had an error while processing your request. Sorry about that!",
        kind="server_error",
    )


def unavailable(retry_after: float | None) -> ApiError:
    """503 for an overloaded service."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return ApiError(
        503,
        "The engine is currently overloaded, please try again later.",
        kind="server_error",
        headers=headers,
    )


class ProxyError(ApiError):
    """502 with a page of HTML, as a proxy in between sends it: no JSON to parse."""

    def __init__(self) -> None:
        super().__init__(502, "<html><body><h1>502 Bad Gateway</h1></body></html>")


def unknown_address(method: str, path: str) -> ApiError:
    """404 for an address that the API (or this stand-in) does not have."""
    return ApiError(404, f"Invalid URL ({method} {path})")
