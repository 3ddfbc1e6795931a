"""One line for each thing done: `time=… level=… object=… did=…`, readable by people and by grep."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

_PLAIN = re.compile(r"[^\s\"=]+")
_LOGGER = logging.getLogger("image-controllers")


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        time = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        text = f"time={time} level={record.levelname.lower()} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def set_up() -> None:
    """Write to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines())
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def info(facts: Mapping[str, object]) -> None:
    """Say what was done."""
    _LOGGER.info("%s", line(facts))


def error(facts: Mapping[str, object], *, trace: bool = False) -> None:
    """Say what went wrong."""
    _LOGGER.error("%s", line(facts), exc_info=trace)


def line(facts: Mapping[str, object]) -> str:
    """Write facts as `key=value`, quoted where they need it; what is None is left out."""
    return " ".join(f"{key}={_shown(value)}" for key, value in facts.items() if value is not None)


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
