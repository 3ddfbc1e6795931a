"""What both sides of the control API speak: identities, faults, and what was asked.

The server writes these values as JSON and `control.py` reads them back, so a test sees the same
types that the server uses. Unknown fields are errors on both sides.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Where = Literal["token", "vault"]


class Value(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(StrEnum):
    """The roles of Key Vault's data plane that the stand-in knows, by Azure's names."""

    USER = "Key Vault Secrets User"
    OFFICER = "Key Vault Secrets Officer"


class Federation(Value):
    """Whose tokens an identity accepts in the place of a secret; all three match exactly."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


class Identity(Value):
    """An application or a managed identity of the tenant."""

    name: str  # ours, for counts; Azure knows ids only
    client_id: str
    roles: tuple[Role, ...] = ()
    federations: tuple[Federation, ...] = ()
    client_secret: str = Field(default="", repr=False)


class FaultKind(StrEnum):
    """How a request fails. UNREACHABLE also refuses new connections to that host."""

    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    SLOW = "slow"
    HANG = "hang"
    UNREACHABLE = "unreachable"


class Fault(Value):
    """One fault; it ends after `count` requests or `seconds`, whichever is first."""

    kind: FaultKind
    where: Where = "vault"
    secret: str | None = None  # only requests about this one
    identity: str | None = None  # only requests by this one
    count: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    delay: float = Field(default=0, ge=0)  # of SLOW
    retry_after: int | None = Field(default=None, ge=0)  # of THROTTLED and UNAVAILABLE


class ActiveFault(Value):
    """A fault that was begun, and how often it struck."""

    id: str
    fault: Fault
    struck: int


class Record(Value):
    """One request as it was answered. Status 0: not answered."""

    number: int
    time: float  # Unix, by the machine's own clock
    where: Where
    identity: str  # empty where the caller showed nothing that is known
    operation: str  # get, set, list, versions, update, delete, recover, purge, token, challenge …
    secret: str = ""
    status: int
    code: str = ""  # the error's innermost code: SecretDisabled, AADSTS700213 …
    client: str = ""  # the User-Agent


class Count(Value):
    """How many requests were alike."""

    identity: str
    operation: str
    secret: str
    status: int
    count: int


class Clock(Value):
    """What the servers believe about time: `offset` seconds ahead of the machine's clock."""

    offset: float = 0


class Lifetime(Value):
    """How long access tokens are valid that are issued from now on."""

    seconds: int = Field(ge=1, le=86_400)
