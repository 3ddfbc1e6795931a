"""Incoming message bodies: JSON or multipart, validated as Discord does."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import BodyPartReader, web

from tests.servers.discord import errors
from tests.servers.discord.errors import ApiError, Json, invalid_form, too_long
from tests.servers.discord.model import Attachment
from tests.servers.discord.rest.base import body_of, check_fields, state_of
from tests.servers.discord.state import ServerState

# In code points: "our API uses Python 3, so the API calculates length based on the number of
# codepoints in the string", https://github.com/discord/discord-api-docs/issues/1315
CONTENT: Final = 2000
NONCE: Final = 25
EMBEDS: Final = 10
EMBED_TEXT: Final = 6000
ROWS: Final = 5
COMPONENTS_V2: Final = 1 << 15
FILE: Final = 10 << 20
SETTABLE_FLAGS: Final = 1 << 2 | 1 << 6 | 1 << 12 | COMPONENTS_V2

FIELDS: Final = frozenset(
    {
        "content",
        "nonce",
        "enforce_nonce",
        "tts",
        "embeds",
        "allowed_mentions",
        "message_reference",
        "components",
        "attachments",
        "flags",
    }
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message body: its JSON and the files that came with it."""

    data: Json
    attachments: tuple[Attachment, ...] | None
    fields: Json = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the text that AutoMod checks: the content and the text of embeds."""
        parts = [self.fields.get("content") or ""]
        for embed in self.fields.get("embeds") or ():
            parts += _embed_texts(embed)
        return "\n".join(parts)


async def read_message(request: web.Request, what: str) -> Incoming:
    """Read the body of a message's route, and put its files into the CDN."""
    data, files = await read_body(request, FIELDS, what)
    return accept(state_of(request), data, files)


async def read_body(
    request: web.Request, known: frozenset[str], what: str
) -> tuple[Json, dict[int, Attachment]]:
    """Return the JSON, and the uploaded files by the number n of `files[n]`."""
    if request.content_type != "multipart/form-data":
        return await body_of(request, known, what), {}
    data: Json = {}
    files: dict[int, Attachment] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ApiError(*errors.BAD_JSON)
        name = part.name or ""
        if name == "payload_json":
            data = json.loads(await part.read(decode=True))
            check_fields(state_of(request), data, known, what)
        elif name.startswith("files[") and name[6:-1].isdigit():
            files[int(name[6:-1])] = await _store(state_of(request), part)
        else:
            state_of(request).counts.not_known(f"part {name} of {what}")
            raise invalid_form(
                name, "SKY_UNKNOWN_FIELD", "This test server does not support the part."
            )
    return data, files


async def _store(state: ServerState, part: BodyPartReader) -> Attachment:
    content = bytes(await part.read(decode=True))
    if len(content) > FILE:
        raise ApiError(*errors.TOO_LARGE)
    kind = part.headers.get("Content-Type", "application/octet-stream")
    file = Attachment(state.world.ids.next(), part.filename or "file", len(content), kind)
    state.cdn.put(file.id, kind, content)
    return file


def accept(state: ServerState, data: Json, files: dict[int, Attachment]) -> Incoming:
    """Validate a message's fields; `fields` holds the given ones, as the model stores them."""
    if data.get("tts"):
        state.counts.not_known("tts")
        raise invalid_form(
            "tts", "SKY_UNKNOWN_FIELD", "This test server does not support text-to-speech."
        )
    fields: Json = {}
    if "content" in data:
        fields["content"] = _content(data["content"])
    for name, most in (("embeds", EMBEDS), ("components", ROWS)):
        if name in data:
            fields[name] = _list(name, data[name], most)
    if sum(map(_embed_length, fields.get("embeds", ()))) > EMBED_TEXT:
        raise too_long("embeds", EMBED_TEXT)
    nonce = data.get("nonce")
    if nonce is not None and len(str(nonce)) > NONCE:
        raise too_long("nonce", NONCE)
    flags = data.get("flags") or 0
    if flags & ~SETTABLE_FLAGS:
        raise invalid_form("flags", "BASE_TYPE_CHOICES", "These flags cannot be set.")
    if flags & COMPONENTS_V2 and (fields.get("content") or fields.get("embeds")):
        message = "The 'content' and 'embeds' fields cannot be used with components v2."
        raise invalid_form(
            "content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", message
        )
    return Incoming(data, _attachments(data, files), fields)


def _content(value: Any) -> str:
    """Return the text as Discord stores it: without surrounding white space (not documented)."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid_form("content", "STRING_TYPE_CONVERT", "Could not interpret as string.")
    text = value.strip()
    if len(text) > CONTENT:
        raise too_long("content", CONTENT)
    return text


def _list(name: str, value: Any, most: int) -> list[Json]:
    value = value or []
    if not isinstance(value, list):
        raise invalid_form(name, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")
    if len(value) > most:
        raise invalid_form(name, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
    return value


def _embed_length(embed: Json) -> int:
    return sum(map(len, _embed_texts(embed)))


def _embed_texts(embed: Json) -> list[str]:
    parts = [embed.get("title"), embed.get("description")]
    parts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    parts += [each.get(key) for each in embed.get("fields") or () for key in ("name", "value")]
    return [each for each in parts if each]


def _attachments(data: Json, files: dict[int, Attachment]) -> tuple[Attachment, ...] | None:
    """Return the new files; None if neither a list nor a file was given."""
    if not files and "attachments" not in data:
        return None
    return tuple(files[number] for number in sorted(files))
