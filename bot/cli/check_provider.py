"""`check-provider`: find out what the configured provider supports, with a few tiny requests.

They are asked the way that the bot asks, by the same client: what that learns about the provider is
what is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.credentials.store import CredentialStore
from bot.domain.errors import OnlyReasoning, OutOfRoom, SkyError
from bot.domain.model_request import ModelRequest, Reduced, Text, Turn
from bot.llm.openai_client import OpenAIModel
from bot.observability.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.domain.model_request import Usage
    from bot.settings.loading import Loaded
    from bot.settings.schema import Settings

_OUTPUT = 512  # tokens of one answer, at most: reasoning models think before they say a word
_TOLD = "You are being tested. Answer with one short word."
_TEMPERATURE, _EFFORT = 0.5, "low"
# A square of 32 by 32 grey pixels: some providers refuse smaller pictures.
_PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAFklEQVR42mNoIAAYRh"
    "WMKhhVMFIVAABCAAAfN5c2AAAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question: what it is about, and what is sent."""

    about: str
    request: ModelRequest


def questions() -> list[Question]:
    """Return the questions for each model; each tests one more feature."""
    plain = (Turn("user", "Say: yes."),)
    speakers = (Turn("user", "Ann: hello"), Turn("user", "Ben: hello"), Turn("user", "Say: yes."))
    picture = (Turn("user", "Is this picture grey?", (_PICTURE,)),)
    return [
        Question("plain question", ModelRequest(_TOLD, plain)),
        Question("several people", ModelRequest(_TOLD, speakers)),
        Question("picture", ModelRequest(_TOLD, picture)),
        Question("temperature", ModelRequest(_TOLD, plain, temperature=_TEMPERATURE)),
        Question("effort", ModelRequest(_TOLD, plain, effort=_EFFORT)),
    ]


@dataclass
class Receipt:
    """Adds up what the questions use; only their number limits it."""

    usages: list[Usage] = field(default_factory=list)

    def charge(self, usage: Usage) -> None:
        """See model_request.Account."""
        self.usages.append(usage)

    def covers(self, most: Usage) -> bool:
        """See model_request.Account."""
        return most.output <= _OUTPUT

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(each.input + each.output for each in self.usages)


def models_of(settings: Settings) -> list[str]:
    """Return the models that the settings name."""
    named = [settings.openai.model, settings.openai.fallback_model]
    return list(dict.fromkeys(filter(None, named)))


def estimate(models: list[str]) -> tuple[int, int]:
    """Return about how many tokens are sent, and at most how many are written."""
    sent = sum(question.request.likely_tokens for question in questions())
    return sent * len(models), _OUTPUT * len(questions()) * len(models)


class ProviderCheck:
    """Asks one model all questions, and prints the findings."""

    def __init__(self, client: OpenAIModel, model: str, out: Callable[[str], object]) -> None:
        self._client = client
        self._model = model
        self._out = out
        self.receipt = Receipt()

    async def run(self) -> bool:
        """Ask; False if the model does not even answer a plain question."""
        self._out(f"{self._model}:")
        for number, question in enumerate(questions()):
            failed = await self._ask(question)
            if failed is not None and number == 0:
                return False
        return True

    async def _ask(self, question: Question) -> SkyError | None:
        began, said, reduced = time.monotonic(), "", set[Reduced]()
        request = replace(question.request, model=self._model)
        try:
            answer = self._client.stream(request, self.receipt)
            async with contextlib.aclosing(answer) as events:
                async for event in events:
                    if isinstance(event, Text):
                        said += event.text
                    elif isinstance(event, Reduced):
                        reduced.add(event)
        except (OnlyReasoning, OutOfRoom):  # it thinks longer than is asked for here
            pass
        except SkyError as error:
            detail = f"{error.label}: {error}" if str(error) else error.label
            self._say(question.about, f"failed. {error.sentence} ({detail})")
            return error
        seconds = time.monotonic() - began
        for about, finding in self._findings(question, reduced, seconds):
            self._say(about, finding)
        return None

    def _findings(
        self, question: Question, reduced: set[Reduced], seconds: float
    ) -> list[tuple[str, str]]:
        learned = self._client.learned(self._model)
        match question.about:
            case "plain question":
                whole = "not supported: an answer appears when it is complete"
                untold = "not reported: the bot estimates it from what is sent and shown"
                return [
                    (question.about, f"answered in {seconds:.1f} s"),
                    ("streaming", whole if learned.streaming else "yes"),
                    ("usage", "reported" if learned.usage else untold),
                    *self._left_out({"stream_options", "store"}, "usage in streams"),
                    *self._left_out({"max_tokens", "max_output_tokens"}, "max_tokens"),
                ]
            case "several people":
                joined = "messages in a row are refused: the bot joins them into one"
                return [(question.about, joined if learned.successive_turns else "yes")]
            case "picture":
                blind = Reduced.WITHOUT_PICTURES in reduced
                without = "not supported: the bot answers without it, and says so"
                return [(question.about, without if blind else "yes")]
            case about:
                names = {"effort": {"reasoning_effort", "reasoning.effort"}}.get(about, {about})
                refused = bool(names & learned.parameters)
                return [(about, "refused: the bot leaves it out" if refused else "accepted")]

    def _left_out(self, names: set[str], about: str) -> list[tuple[str, str]]:
        refused = sorted(names & self._client.learned(self._model).parameters)
        return [(about, f"refused as {name}: the bot leaves it out") for name in refused]

    def _say(self, about: str, finding: str) -> None:
        self._out(f"  {about:<17} {finding}")


def run_check(
    loaded: Loaded, environ: Mapping[str, str], out: Callable[[str], object], *, dry: bool
) -> bool:
    """Check the configured provider; False if a model does not answer. Raises BadSettings."""
    settings = loaded.settings
    models = models_of(settings)
    sent, written = estimate(models)
    number = len(questions()) * len(models)
    out(f"provider: {settings.openai.base_url}, {settings.openai.api}")
    out(f"{number} questions: about {sent} tokens sent, at most {written} written")
    if dry:
        return True
    return asyncio.run(_check(settings, models, environ, out))


async def _check(
    settings: Settings, models: list[str], environ: Mapping[str, str], out: Callable[[str], object]
) -> bool:
    metrics = Metrics()
    access = CredentialStore(settings, environ, metrics)
    access.require_key()
    bounded = settings.openai.model_copy(
        update={"max_output_tokens": _OUTPUT, "fallback_model": None, "breaker_failures": 0}
    )
    client = OpenAIModel(bounded, access.key, metrics)
    try:
        await client.warm()  # so that the first answer's time is the provider's
        checks = [ProviderCheck(client, model, out) for model in models]
        well = [await check.run() for check in checks]
        used = sum(check.receipt.tokens for check in checks)
        out(f"used: {used} tokens, as reported by the provider")
        return all(well)
    finally:
        await client.close()
        await access.close()
