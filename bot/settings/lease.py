"""The settings of who speaks; lease/floor.py acts on them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bot.settings.base import Section


class Lease(Section):
    """Of several processes one answers: the one that holds a Lease."""

    where: Literal["auto", "cluster", "file"] = Field(
        default="auto",
        description="Where the Lease lies: a Kubernetes object (`cluster`) or a `file`; "
        "`auto` is the former in a pod",
    )
    name: str = Field(
        default="discord-sky-bot",
        pattern=r"^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$",
        description="The Lease's name; with several shards, a hyphen and the shard's number follow",
    )
    holder: str = Field(
        default="", description="The pod's own name; the Deployment sets it. Empty: the host's name"
    )
    account: Path = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="Where the ServiceAccount's token is mounted",
    )
    file: Path | None = Field(
        default=None,
        description="The file to lock instead, outside of a cluster; "
        "without it one in the system's temporary folder",
    )
    seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=75,
        description="How long the Lease lasts. So long a crash of a whole node goes unnoticed, "
        "and, but for a few seconds, an outage of the API server silences nobody",
    )

    shards_per_pod: int = Field(
        default=16, ge=1, le=1000, description="The most shards that one process serves"
    )

    def path(self, token_file: Path) -> Path:
        """Give the file to lock: the same for every bot that reads the same token."""
        if self.file is not None:
            return self.file
        name = hashlib.sha256(str(token_file.absolute()).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"discord-sky-{os.getuid()}" / f"lease-{name}"
