"""Discord's error responses: a status, an error code and a message.

Numbers: https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
"""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An error; becomes the JSON body of the response. `retry_after` is for a 429."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        errors: Json | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message, self.errors = status, code, message, errors
        self.retry_after = retry_after

    def body(self) -> Json:
        """Return the response's JSON."""
        body: Json = {"message": self.message, "code": self.code}
        if self.retry_after is not None:
            body |= {"retry_after": self.retry_after, "global": False}
        return body | ({"errors": self.errors} if self.errors else {})


def invalid_form(field: str, code: str, message: str) -> ApiError:
    """Return 50035, Discord's error for an invalid body, naming the field."""
    errors = {"_errors": [{"code": code, "message": message}]}
    return ApiError(400, 50035, "Invalid Form Body", {field: errors})


def too_long(field: str, most: int) -> ApiError:
    """Return 50035 for a text longer than `most` characters."""
    return invalid_form(field, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")


UNAUTHORIZED = (401, 0, "401: Unauthorized")
NOT_FOUND = (404, 0, "404: Not Found")
METHOD_NOT_ALLOWED = (405, 0, "405: Method Not Allowed")
TOO_LARGE = (413, 40005, "Request entity too large")
BAD_JSON = (400, 50109, "The request body contains invalid JSON.")
UNKNOWN_APPLICATION = (404, 10002, "Unknown Application")
UNKNOWN_CHANNEL = (404, 10003, "Unknown Channel")
UNKNOWN_GUILD = (404, 10004, "Unknown Guild")
UNKNOWN_MEMBER = (404, 10007, "Unknown Member")
UNKNOWN_MESSAGE = (404, 10008, "Unknown Message")
UNKNOWN_USER = (404, 10013, "Unknown User")
UNKNOWN_EMOJI = (400, 10014, "Unknown Emoji")
UNKNOWN_WEBHOOK = (404, 10015, "Unknown Webhook")
BAD_WEBHOOK_TOKEN = (401, 50027, "Invalid Webhook Token")
UNKNOWN_INTERACTION = (404, 10062, "Unknown interaction")
UNKNOWN_COMMAND = (404, 10063, "Unknown application command")
ALREADY_ACKNOWLEDGED = (400, 40060, "Interaction has already been acknowledged.")
MISSING_ACCESS = (403, 50001, "Missing Access")
NOT_THE_AUTHOR = (403, 50005, "Cannot edit a message authored by another user")
EMPTY_MESSAGE = (400, 50006, "Cannot send an empty message")
CLOSED_DM = (403, 50007, "Cannot send messages to this user")
MISSING_PERMISSIONS = (403, 50013, "Missing Permissions")
ARCHIVED_THREAD = (400, 50083, "Thread is archived")
LOCKED_THREAD = (403, 160005, "Thread is locked")
NOT_A_TEXT_CHANNEL = (400, 50008, "Cannot send messages in a non-text channel")
FORUM_CHANNEL = (400, 40058, "Cannot send a message in a forum channel")
WRONG_CHANNEL_TYPE = (400, 50024, "Cannot execute action on this channel type")
BLOCKED_BY_AUTOMOD = (400, 200000, "Message was blocked by automatic moderation")
TITLE_BLOCKED_BY_AUTOMOD = (400, 200001, "Title was blocked by automatic moderation")
SLOW_MODE = (429, 20016, "This action cannot be performed due to slowmode rate limit")
DMS_TOO_FAST = 40003, "You are opening direct messages too fast"
OLD_EDITS = (
    429,
    30046,
    "Maximum number of edits to messages older than 1 hour reached. Try again later",
)
THREAD_EXISTS = (400, 160004, "A thread has already been created for this message")
TOO_MANY_THREADS = (400, 160006, "Maximum number of active threads reached")
NO_HISTORY_FOR_REPLY = (
    400,
    160002,
    "Cannot reply without permission to read message history",
)
