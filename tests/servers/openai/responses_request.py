"""What POST /v1/responses accepts: the part of OpenAI's schema that a chat bot uses, strictly.

Fields that OpenAI has and this file has not (conversations, background…) are refused as
unknown: whoever starts to use one adds it here, with the behaviour.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from . import hosted_tools, models, pictures
from .hosted_tools import Chosen
from .parts import InputFile, InputImage, InputText, OutputText, Refusal, image_of, text_of
from .records import Asked, Turn
from .validation import Strict

MIN_OUTPUT_TOKENS = 16


def _input_texts(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


def _output_texts(content: Any) -> Any:
    return [{"type": "output_text", "text": content}] if isinstance(content, str) else content


def _input_messages(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class InputMessage(Strict):
    """A message of anyone but the model."""

    role: Literal["user", "system", "developer"]
    type: Literal["message"] = "message"
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    content: Annotated[
        list[Annotated[InputText | InputImage | InputFile, Discriminator("type")]],
        BeforeValidator(_input_texts),
    ]


class AssistantMessage(Strict):
    """What the model said before; its parts are output parts, anything else is refused."""

    role: Literal["assistant"]
    type: Literal["message"] = "message"
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    phase: Literal["commentary", "final_answer"] | None = None
    content: Annotated[
        list[Annotated[OutputText | Refusal, Discriminator("type")]],
        BeforeValidator(_output_texts),
    ]


def _whose(item: Any) -> str | None:
    """Choose the schema by role: pydantic then names the field, not every member of a union."""
    role = item.get("role") if isinstance(item, dict) else None
    return role if isinstance(role, str) else None


Item = Annotated[
    Annotated[InputMessage, Tag("user")]
    | Annotated[InputMessage, Tag("system")]
    | Annotated[InputMessage, Tag("developer")]
    | Annotated[AssistantMessage, Tag("assistant")],
    Discriminator(_whose),
]


class Reasoning(Strict):
    """How much a reasoning model thinks."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class PlainText(Strict):
    """The only output format that is served."""

    type: Literal["text"]


class TextConfig(Strict):
    """How the text is to be."""

    format: PlainText | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class StreamOptions(Strict):
    """Of a streamed answer."""

    include_obfuscation: bool = True


class ResponsesRequest(Strict):
    """The body of POST /v1/responses."""

    model: str
    input: Annotated[list[Item], BeforeValidator(_input_messages), Field(min_length=1)]
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: Annotated[int, Field(ge=MIN_OUTPUT_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    store: bool | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    user: str | None = None
    safety_identifier: Annotated[str, Field(max_length=64)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=64)] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "fast"] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    tools: list[hosted_tools.Tool] | None = None
    tool_choice: hosted_tools.Choice | None = None

    def asked(self) -> Asked:
        """Give what was asked, for both APIs alike; raises ApiError where the model refuses."""
        models.refuse_sampling(self.model, {"temperature": self.temperature, "top_p": self.top_p})
        if self.reasoning and self.reasoning.effort and not models.reasons(self.model):
            raise models.unsupported("reasoning.effort")
        offered = tuple(tool.type for tool in self.tools or ())
        chosen = self.tool_choice.type if isinstance(self.tool_choice, Chosen) else ""
        effort = self.reasoning.effort if self.reasoning else None
        hosted_tools.check(self.model, offered, chosen, effort)
        options = self.stream_options or StreamOptions()
        return Asked(
            model=self.model,
            turns=self._turns(),
            stream=bool(self.stream),
            obfuscation=options.include_obfuscation,
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            effort=effort,
            tools=offered,
            chosen=chosen,
        )

    def _turns(self) -> tuple[Turn, ...]:
        for number, item in enumerate(self.input):
            for place, part in enumerate(item.content):
                if isinstance(part, InputImage):
                    pictures.look(part.image_url, f"input[{number}].content[{place}].image_url")
        head = (Turn(role="system", text=self.instructions),) if self.instructions else ()
        return head + tuple(
            Turn(
                role=item.role,
                text="\n".join(filter(None, map(text_of, item.content))),
                images=tuple(filter(None, map(image_of, item.content))),
            )
            for item in self.input
        )
