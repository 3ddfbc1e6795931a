"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bot.domain.text import sanitize


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)


def _address(*schemes: str) -> AfterValidator:
    """Require an absolute URL of one of `schemes`, and drop a slash at its end."""

    def check(value: str) -> str:
        parts = urlsplit(value)
        odd = sanitize(value) != value  # a byte that is no text, out of the environment
        if parts.scheme not in schemes or not parts.hostname or odd:
            raise ValueError(f"must be an address that begins with {schemes[-1]}://")
        return value.rstrip("/")

    return AfterValidator(check)


HttpUrl = Annotated[str, _address("http", "https")]
SocketUrl = Annotated[str, _address("ws", "wss")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
SecretName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,127}$")]  # as Key Vault has it
