"""The types of the control API: identities, faults and records of requests.

The server writes these values as JSON and `control.py` reads them back, so a test sees the same
types that the server uses. Unknown fields are errors on both sides.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Where = Literal["token", "vault"]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(StrEnum):
    """The supported roles of Key Vault's data plane, by Azure's names."""

    USER = "Key Vault Secrets User"
    OFFICER = "Key Vault Secrets Officer"


class Federation(Value):
    """The tokens that an identity accepts instead of a secret; all three fields match exactly."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


class Identity(Value):
    """An application or a managed identity of the tenant."""

    name: str  # our own name, for counts; Azure has ids only
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
    secret: str | None = None  # only requests for this one
    identity: str | None = None  # only requests by this one
    count: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    delay: float = Field(default=0, ge=0)  # for SLOW
    retry_after: int | None = Field(default=None, ge=0)  # for THROTTLED and UNAVAILABLE


class ActiveFault(Value):
    """A started fault, and how often it applied."""

    id: str
    fault: Fault
    struck: int


class Record(Value):
    """One request and its result. Status 0: no response."""

    number: int
    time: float  # Unix, by the machine's own clock
    where: Where
    identity: str  # empty if the caller showed no known credential
    operation: str  # get, set, list, versions, update, delete, recover, purge, token, challenge …
    secret: str = ""
    status: int
    code: str = ""  # the error's innermost code: SecretDisabled, AADSTS700213 …
    client: str = ""  # the User-Agent


class Count(Value):
    """The number of requests that are alike."""

    identity: str
    operation: str
    secret: str
    status: int
    count: int


class Clock(Value):
    """The servers' clock: `offset` seconds ahead of the machine's."""

    offset: float = 0


class Lifetime(Value):
    """The lifetime of access tokens issued from now on."""

    seconds: int = Field(ge=1, le=86_400)
