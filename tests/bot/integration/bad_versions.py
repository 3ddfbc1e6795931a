"""Versions of the bot that become Ready and fail afterwards, each by a few lines in one module.

The lines are added to the module's end, as a merge would add them, in a copy of bot/.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

PIPELINE = Path("bot/answers/pipeline.py")

_ANSWERS = """

_answers = 0
_sound_prompt = build_prompt


def build_prompt(*args: object, **options: object) -> Prompt:
    global _answers
    _answers += 1
    {does}
    return _sound_prompt(*args, **options)
"""


@dataclass(frozen=True)
class BadVersion:
    """What makes it bad; `reason` is what is said of it, in part."""

    module: Path
    lines: str
    reason: str

    def spoil(self, tree: Path) -> None:
        """Change the code in `tree`, a checkout."""
        with (tree / self.module).open("a") as file:
            file.write(self.lines)

    def copy(self, repository: Path, folder: Path) -> Path:
        """Copy bot/ to `folder` and change it there; returns the folder."""
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / "bot", folder / "bot", ignore=ignored)
        self.spoil(folder)
        return folder


def _in_answers(does: str, reason: str) -> BadVersion:
    return BadVersion(PIPELINE, _ANSWERS.format(does=does), reason)


BAD_VERSIONS = {
    "raises in every answer": _in_answers("None + 1", "1 of 1 answer raised TypeError"),
    "raises in one of five": _in_answers("_answers % 5 or [][1]", " raised IndexError"),
    "exits after its third answer": _in_answers(
        "_answers > 3 and __import__('os')._exit(3)", "its container ended, or did not respond"
    ),
    "blocks the event loop": _in_answers(
        "_answers % 3 or __import__('time').sleep(5)", "its event loop was blocked for"
    ),
    "sends a parameter that is refused": BadVersion(
        Path("bot/llm/provider_apis.py"),
        """

_sound = ResponsesApi.payload


def _payload(*args: object, **options: object) -> Payload:
    payload = _sound(*args, **options)
    payload.body["no_such_parameter"] = True
    return payload


ResponsesApi.payload = _payload
""",
        "3 answers in a row failed: request_refused",
    ),
    "sends what Discord refuses": BadVersion(
        Path("bot/reply/message_series.py"),
        "\n\ndef nonce(nonce_base: int, part: int) -> str:\n"
        '    return f"{nonce_base}-{part}-which-is-too-long"\n',
        "3 answers in a row failed: may_not_speak",
    ),
}
