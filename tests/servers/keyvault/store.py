"""The vault's secrets and their versions, in a file, so that a restart loses nothing."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import errors
from .clock import Clock

RECOVERABLE_DAYS = 90


@dataclass
class Version:
    """One version of a secret; times are Unix seconds."""

    id: str
    value: str
    created: int
    updated: int
    content_type: str | None = None
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Secret:
    """A name and its versions, oldest first. `deleted` is the time of deletion, if any."""

    name: str
    versions: list[Version] = field(default_factory=list)
    deleted: int | None = None

    @property
    def newest(self) -> Version:
        """The current version: the one set last, enabled or not."""
        return self.versions[-1]

    def version(self, wanted: str) -> Version:
        """Return that version, or for an empty name the newest. Raises Refused."""
        if not wanted:
            return self.newest
        for version in self.versions:
            if version.id == wanted.lower():
                return version
        raise errors.not_found(self.name, wanted)


class Store:
    """All secrets. Names are case-insensitive, as in Azure."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._secrets: dict[str, Secret] = {}
        if file.exists():
            for item in json.loads(file.read_text()):
                versions = [Version(**version) for version in item.pop("versions")]
                self._secrets[item["name"].lower()] = Secret(**item, versions=versions)

    def live(self) -> list[Secret]:
        """Return the secrets that are not deleted, by name."""
        return [one for _, one in sorted(self._secrets.items()) if one.deleted is None]

    def gone(self) -> list[Secret]:
        """Return the deleted secrets, by name."""
        return [one for _, one in sorted(self._secrets.items()) if one.deleted is not None]

    def get(self, name: str) -> Secret:
        """Return a secret that is not deleted. Raises Refused."""
        found = self._secrets.get(name.lower())
        if found is None or found.deleted is not None:
            raise errors.not_found(name)
        return found

    def get_deleted(self, name: str) -> Secret:
        """Return a deleted secret. Raises Refused."""
        found = self._secrets.get(name.lower())
        if found is None or found.deleted is None:
            raise errors.not_found(name)
        return found

    def set(
        self,
        name: str,
        value: str,
        *,
        content_type: str | None = None,
        enabled: bool = True,
        not_before: int | None = None,
        expires: int | None = None,
        tags: dict[str, str] | None = None,
    ) -> tuple[Secret, Version]:
        """Add a version. Raises Refused if a deleted secret has the name."""
        secret = self._secrets.get(name.lower())
        if secret is not None and secret.deleted is not None:
            raise errors.deleted(name)
        if secret is None:
            secret = self._secrets[name.lower()] = Secret(name)
        now = int(self._clock.now())
        version = Version(
            id=secrets.token_hex(16),
            value=value,
            created=now,
            updated=now,
            content_type=content_type,
            enabled=enabled,
            not_before=not_before,
            expires=expires,
            tags=tags or {},
        )
        secret.versions.append(version)
        self.save()
        return secret, version

    def delete(self, name: str) -> Secret:
        """Delete a secret with all its versions; it can be recovered. Raises Refused."""
        secret = self.get(name)
        secret.deleted = int(self._clock.now())
        self.save()
        return secret

    def recover(self, name: str) -> Secret:
        """Undo a deletion. Raises Refused."""
        secret = self.get_deleted(name)
        secret.deleted = None
        self.save()
        return secret

    def purge(self, name: str) -> None:
        """Delete a deleted secret permanently. Raises Refused."""
        del self._secrets[self.get_deleted(name).name.lower()]
        self.save()

    def touch(self, version: Version) -> None:
        """Record that a version's attributes were changed."""
        version.updated = int(self._clock.now())
        self.save()

    def save(self) -> None:
        """Replace the file atomically; only root can read it."""
        draft = self._file.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump([asdict(one) for one in self._secrets.values()], file)
        draft.replace(self._file)
