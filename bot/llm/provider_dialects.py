"""How providers differ from OpenAI: data, in one place.

There are three kinds: how a provider names a refusal, how it names the end of an answer, and where
it puts a model's reasoning. Each has a rule for unknown values: after an unknown refusal a smaller
request is tried (retries.py), an unknown end is not a success, and unknown parts of an answer are
not shown. What a process learns about its provider is also kept here.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.model_request import Finish

log = logging.getLogger(__name__)


class Refusal(StrEnum):
    """What a refusal means, regardless of its wording."""

    KEY = "key"
    CREDIT = "credit"
    TOO_LONG = "too_long"
    FILTERED = "filtered"
    BAD_PICTURE = "bad_picture"  # this one; another may be accepted
    PICTURES = "pictures"  # none at all
    SUCCESSIVE_TURNS = "successive_turns"  # user and assistant have to take turns
    SYSTEM_ROLE = "system_role"
    LAST_TURN = "last_turn"  # the conversation has to end with a user's turn
    STREAMING = "streaming"
    PARAMETER = "parameter"  # an optional one that the request carries
    RATE = "rate"
    MODEL = "model"
    DOWN = "down"
    SLOW = "slow"
    UNKNOWN = "unknown"


# Codes and types, as they stand in an error's `code`, `type`, `status` or `reason`.
CODES: dict[str, Refusal] = {
    **dict.fromkeys(("invalid_api_key", "api_key_invalid", "authentication_error"), Refusal.KEY),
    **dict.fromkeys(("insufficient_quota", "billing_hard_limit_reached"), Refusal.CREDIT),
    **dict.fromkeys(
        (
            "context_length_exceeded",
            "string_above_max_length",
            "exceed_context_size_error",
            "invalid_request_prompt_length",
            "tokens_limit_reached",
        ),
        Refusal.TOO_LONG,
    ),
    **dict.fromkeys(
        (
            "content_filter",
            "content_policy_violation",
            "invalid_prompt",
            "bio_policy",
            "misalignment_policy_violation",
            "moderation_blocked",
            "image_content_policy_violation",
            "data_inspection_failed",
            "sensitive_words_detected",
            "responsibleaipolicyviolation",
        ),
        Refusal.FILTERED,
    ),
    **dict.fromkeys(
        (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "invalid_image_mode",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
        ),
        Refusal.BAD_PICTURE,
    ),
    **dict.fromkeys(
        (
            *("model_not_found", "deploymentnotfound", "invalid_model", "model_decommissioned"),
            "unsupported_country_region_territory",
        ),
        Refusal.MODEL,
    ),
    **dict.fromkeys(
        ("rate_limit_exceeded", "rate_limited", "rate_limit_error", "rate_limit_reached"),
        Refusal.RATE,
    ),
    # A model that called a tool which it was not given may answer the next time.
    **dict.fromkeys(("server_error", "overloaded_error", "tool_use_failed"), Refusal.DOWN),
}

# Statuses that say more than words such as "temporarily".
NEVER_DOWN = frozenset({401, 402, 403, 410, 413, 429})
_NONE: frozenset[int] = frozenset()
_ACCESS = frozenset({401, 403})
_PACE = frozenset({429})
_KEY_OR_PACE = frozenset({401, 429})
_ACCESS_OR_PACE = _ACCESS | _PACE
_LIMIT_REACHED = (  # of money, not of the pace
    r"(?:reached|exceeded) (?:its|your) (?:(?!rate|request|token)\w+ )?"
    r"(?:spending|usage|limit|quota)"
)
_ACCOUNT_CLOSED = (
    r"\b(?:account|access|organi[sz]ation|project|key|token)(?: to (?:the|this) \w+)?"
    r"(?: (?:was|is|has been|have been)(?: \w+)?)?"
    r" (?:terminated|suspended|deactivated|disabled|banned|blocked|revoked)"
)
# Wordings in a refusal's lower-case text; the first that fits counts. Each has the statuses with
# which it does not count, because they say more: a refused key is exchanged, whatever is said of
# it, and with 403 or 429 most words tell why access or the pace is limited.
_WORDINGS: tuple[tuple[Refusal, frozenset[int], tuple[str, ...]], ...] = (
    (
        Refusal.KEY,
        _PACE,
        (
            r"\b(?:incorrect|invalid|malformed|wrong|missing) (?:\w+ ){0,3}api[ _]?(?:key|token)",
            r"api[ _]?key (?:not valid|is invalid|is missing)",
            r"invalid subscription key",
            r"no auth credentials",
            r"authentication fails",
            r"api token is required",
            r"missing or invalid authorization",
        ),
    ),
    (
        Refusal.TOO_LONG,
        _ACCESS,
        (r"request too large",),
    ),
    (
        Refusal.TOO_LONG,
        _ACCESS_OR_PACE,
        (
            r"reduce (?:the length|your message|your prompt|the prompt)",
            r"context (?:length|window|size|limit)",
            r"(?:maximum|max) (?:prompt|context|model|sequence) len",
            r"input token count",
            r"too many (?:input )?tokens(?!,? please wait)",
            r"\binputs?\W{0,3}tokens.{0,5}\+.{0,40} must be <=",  # not the answer's alone
            r"(?:prompt|input|conversation) is too long",
            r"too large for model",
            r"exceeds? (?:the )?(?:maximum )?(?:number of )?tokens",
            r"tokens? limit exceeded",
        ),
    ),
    (
        Refusal.CREDIT,
        _NONE,
        (
            r"insufficient (?:credit|balance|fund|quota)",
            r"out of credit",
            r"credits? (?:are|is) depleted",
            r"all available credits",
            r"(?:spending|usage|key|credit) limit (?:exceeded|reached)",
            _LIMIT_REACHED,
        ),
    ),
    (
        Refusal.MODEL,  # the account, not what was asked
        NEVER_DOWN - {403},
        (_ACCOUNT_CLOSED,),
    ),
    (
        Refusal.FILTERED,
        _KEY_OR_PACE,
        (
            r"content management policy",
            r"content (?:filter|policy)",
            r"(?:input|prompt|content) (?:was|is) (?:flagged|blocked)",
            r"responsible ?ai",
            r"safety (?:system|filter|policy)",
            r"inappropriate content",
            r"violat\w+ .{0,40}(?:guidelines|polic(?:y|ies)|terms)",
            r"敏感内容",
        ),
    ),
    (
        Refusal.SUCCESSIVE_TURNS,
        _ACCESS_OR_PACE,
        (
            r"\balternat(?:e|es|ing)\b.{0,60}(?:user|assistant)",
            r"roles must alternate",
            r"must start with a user",
            r"(?:successive|consecutive) (?:user|assistant|messages)",
            r"interleave the user",
            r"unexpected role '(user|assistant)' after role '\1'",
        ),
    ),
    (
        Refusal.LAST_TURN,
        _ACCESS_OR_PACE,
        (
            r"expected last role",
            r"(?:last|final) message (?:of \S+ )?(?:must|should|has to|to) (?:be|have)",
            r"must end with a user",
            r"assistant (?:message )?prefill",
            r"ends? with an? assistant",
        ),
    ),
    (
        Refusal.SYSTEM_ROLE,
        _ACCESS_OR_PACE,
        (
            r"system['`]? (?:role|messages?|prompts?|instructions?) (?:is |are )?not supported",
            r"(?:does not|doesn't|don't) support (?:a |the )?['`]?system",
            r"developer instruction is not enabled",
            r"roles? (?:are|is) supported, got ['`]?(?:system|developer)",
            r"(?:unsupported|unknown|unexpected|invalid) role:? ['`]?(?:system|developer)",
        ),
    ),
    (
        Refusal.STREAMING,
        _KEY_OR_PACE,
        (
            r"verified to stream",
            r"streaming (?:is )?(?:not supported|not allowed|disabled|unsupported)",
            r"not support (?:\w+ )?(?:stream|streaming)\b",
        ),
    ),
    (
        Refusal.RATE,
        frozenset({401, 402}),
        (
            r"too many (?:requests|concurrent)",
            r"rate.?limit",
            r"server (?:is )?busy",
            r"slow down",
            r"resource has been exhausted",
        ),
    ),
    (
        Refusal.CREDIT,  # a mention of money, as a limit of the pace may have one too
        frozenset({401}),
        (r"payment (?:required|method)", r"billing", r"purchase (?:more )?credits"),
    ),
    (
        Refusal.MODEL,
        _KEY_OR_PACE,
        (
            r"model\b.{0,120}\b(?:not found|does not exist|not exist|not available|not a valid)",
            r"decommissioned",
            r"end of life",
            r"(?:location|country|region).{0,40} (?:is )?not supported",
            r"does not support chat",
            r"(?:invalid|unknown) model",
            r"no such model",
            r"(?:unexpected|unknown) endpoint",
        ),
    ),
    (
        Refusal.DOWN,
        NEVER_DOWN,
        (
            r"overloaded",
            r"degraded",
            r"temporarily",
            r"currently (?:loading|unavailable)",
            r"(?:at|over) capacity",
        ),
    ),
)
WORDINGS = tuple(
    (re.compile("|".join(words)), outweighed, meaning) for meaning, outweighed, words in _WORDINGS
)
# A length that a refusal speaks of is the conversation's, and not that of the answer, with these.
ABOUT_THE_INPUT = re.compile(
    r"\binputs?\b(?! validation| should)|\b(?:prompts?|messages|conversation|history)\b"
    r"|your message|request too large"
)
# Where a request carries pictures, a refusal that speaks of them is about them: about this picture,
# unless it says that the model takes none.
PICTURES = re.compile(
    r"imag|picture|(?<![a-z])vision|multi-?modal|modalit|mmproj"
    r"|(?:content|value).{0,30} must be a string"
)
NO_PICTURES = re.compile(
    r"not support|only supported by|not enabled|unknown variant|must be a string|no endpoints"
    r"|not (?:a )?multi-?modal|missing data|unsupported content|not (?:accept|allow|have vision)"
)
BAD_PICTURE = re.compile(r"format|media|mime|large|size|corrupt|decod|download|base64|damaged")
# The parameter that asks for a stream, where no other one is named.
STREAM = re.compile(r"(?<![a-z0-9_])stream(?:ing)?(?![a-z0-9_])")
# A quota that renews itself does not mean that the account is out of credit.
WAIT = re.compile(
    r"per (?:minute|min|second|hour|day)|try again in|retry (?:in|after|shortly)|retrydelay"
)
# Words about pictures do not count with these.
NEVER_ABOUT_PICTURES = frozenset({401, 402, 429})
# A refusal with one of these is about the request, so a smaller request may be taken.
ABOUT_THE_REQUEST = frozenset({400, 404, 405, 406, 415, 417, 422, 501})

STATUSES: dict[int, Refusal] = {
    401: Refusal.KEY,
    402: Refusal.CREDIT,
    403: Refusal.MODEL,  # this key may not use it
    404: Refusal.MODEL,
    408: Refusal.SLOW,
    409: Refusal.RATE,
    410: Refusal.MODEL,
    413: Refusal.TOO_LONG,
    429: Refusal.RATE,
}
SERVER_ERRORS = 500

# Finish reasons, ignoring case. What is not listed is not a success.
FINISHES: dict[str, Finish] = {
    **dict.fromkeys(
        ("stop", "stop_sequence", "end_turn", "eos", "eos_token", "end", "complete", "completed"),
        Finish.COMPLETE,
    ),
    **dict.fromkeys(
        ("length", "max_tokens", "max_output_tokens", "model_length", "token_limit"), Finish.LENGTH
    ),
    **dict.fromkeys(
        (
            *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "spii"),
            *("prohibited_content", "image_safety", "flagged", "sensitive", "refusal"),
        ),
        Finish.FILTERED,
    ),
}

# Reasoning in the answer's text: at its beginning, between two marks.
REASONING_MARKS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<thoughts>", "</thoughts>"),
    ("<analysis>", "</analysis>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
)
# What some models write around the answer, after their reasoning.
ANSWER_MARKS = ("<answer>", "</answer>")
# Tokens with which models end their turn. A server that lacks one in its configuration shows it as
# text at the end of the answer.
END_MARKS: tuple[str, ...] = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>"),
    *("<|return|>", "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>", "<|eos|>"),
    *("<end_of_turn>", "<turn|>", "<eos>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
)
# Models whose prompt ends with the opening mark: what they write begins inside of the reasoning,
# unless their server takes it out.
UNOPENED = re.compile(r"deepseek-r1|r1-distill|qwq|-thinking\b")
# Reasoning beside the text: it is not shown, and counts where the provider counts nothing.
REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")


@dataclass(slots=True)
class Learned:
    """What one model was found to refuse."""

    parameters: set[str] = field(default_factory=set)
    pictures: bool = False
    successive_turns: bool = False
    system_role: bool = False
    streaming: bool = False
    last_turn: bool = False
    usage: bool = True  # the only field about something it does: report usage


class Knowledge:
    """What was learned about a provider, for the life of the process; each finding is logged."""

    def __init__(self) -> None:
        self._models: dict[str, Learned] = {}  # bounded by the configured models

    def of(self, model: str) -> Learned:
        """Return what is known about a model."""
        return self._models.setdefault(model, Learned())

    def refuses_parameter(self, model: str, name: str) -> None:
        """Leave a parameter out from now on."""
        if name not in self.of(model).parameters:
            self.of(model).parameters.add(name)
            extra = {"model": model, "parameter": name}
            log.warning("the model refuses a parameter; it is left out from now on", extra=extra)

    def refuses(self, model: str, what: Refusal) -> None:
        """Do without one of the features that `Learned` names."""
        learned = self.of(model)
        if not getattr(learned, what.value):
            setattr(learned, what.value, True)
            extra = {"model": model, "feature": what.value}
            log.warning("the model lacks a feature; it is not used from now on", extra=extra)


def finish_of(reason: object) -> Finish:
    """Return what a finish reason means; an unknown one is not a success."""
    return FINISHES.get(str(reason).lower(), Finish.BROKEN)
