"""What POST /v1/chat/completions accepts: the part of OpenAI's schema a chat bot uses, strictly."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field

from . import models, pictures
from .errors import ApiError
from .parts import Image, Refusal, Text, image_of, text_of
from .records import Asked, Turn
from .validation import Strict

Name = Annotated[str, Field(pattern=r"^[^\s<|\\/>]+$", max_length=64)]


def _texts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class SystemMessage(Strict):
    """Instructions."""

    role: Literal["system", "developer"]
    content: Annotated[list[Annotated[Text, Field()]], BeforeValidator(_texts)]
    name: Name | None = None


class UserMessage(Strict):
    """What a person says."""

    role: Literal["user"]
    content: Annotated[
        list[Annotated[Text | Image, Discriminator("type")]], BeforeValidator(_texts)
    ]
    name: Name | None = None


class AssistantMessage(Strict):
    """What the model said before."""

    role: Literal["assistant"]
    content: Annotated[
        list[Annotated[Text | Refusal, Discriminator("type")]] | None, BeforeValidator(_texts)
    ] = None
    refusal: str | None = None
    name: Name | None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage, Discriminator("role")]


class StreamOptions(Strict):
    """Of a streamed answer."""

    include_usage: bool = False
    include_obfuscation: bool = True


class PlainText(Strict):
    """The only output format that is served."""

    type: Literal["text"]


class ChatRequest(Strict):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    n: Literal[1] | None = None
    seed: int | None = None
    response_format: PlainText | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    store: bool | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    user: str | None = None
    safety_identifier: Annotated[str, Field(max_length=64)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=64)] | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "fast"] | None = None

    def asked(self) -> Asked:
        """Give what was asked, for both APIs alike; raises ApiError where the model refuses."""
        self._refuse()
        options = self.stream_options or StreamOptions()
        return Asked(
            model=self.model,
            turns=tuple(
                Turn(
                    role=message.role,
                    text="\n".join(filter(None, map(text_of, message.content or []))),
                    images=tuple(filter(None, map(image_of, message.content or []))),
                    name=message.name,
                )
                for message in self.messages
            ),
            stream=bool(self.stream),
            include_usage=options.include_usage,
            obfuscation=options.include_obfuscation,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=self.temperature,
            effort=self.reasoning_effort,
        )

    def _refuse(self) -> None:
        for number, message in enumerate(self.messages):
            for place, part in enumerate(message.content or []):
                if isinstance(part, Image):
                    where = f"messages[{number}].content[{place}].image_url"
                    pictures.look(part.image_url.url, where)
        if self.stream_options and not self.stream:
            raise ApiError(
                400,
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
            )
        if self.max_tokens is not None and models.reasons(self.model):
            raise models.unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
        if self.reasoning_effort and not models.reasons(self.model):
            raise models.unsupported("reasoning_effort")
        models.refuse_sampling(self.model, {"temperature": self.temperature, "top_p": self.top_p})
