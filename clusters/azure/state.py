"""What was chosen and learned, and the local record of it: `clusters/azure/NAME.local.env`.

The record has lines of KEY=value, readable by a shell, the doctor and the person: what was chosen,
which ids were found, and under MADE what this set-up made. Git ignores it. It is a convenience:
whether a thing is this set-up's own is read from the thing itself (its tag, label, title or name),
so that a run that was killed between making and writing, or another machine, knows as much.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from clusters.azure.runner import Stop

NAME = "discord-sky"
_DEFAULTS = {
    "AZURE_LOCATION": "eastus",
    "NODE_SIZE": "Standard_D2s_v5",
    "UPGRADE_CHANNEL": "stable",
    "MAINTENANCE_WINDOW": "Sunday 03:00",
}
# The value that each argument sets.
ARGUMENTS = {
    "subscription": "AZURE_SUBSCRIPTION_ID",
    "location": "AZURE_LOCATION",
    "group": "RESOURCE_GROUP",
    "cluster": "AKS_NAME",
    "cluster_group": "AKS_RESOURCE_GROUP",
    "registry": "ACR_NAME",
    "registry_group": "ACR_RESOURCE_GROUP",
    "make_cluster": "MAKE_CLUSTER",
    "make_registry": "MAKE_REGISTRY",
    "vault": "KEYVAULT_NAME",
    "node_size": "NODE_SIZE",
    "repository": "GITHUB_REPOSITORY",
    "ci_subject": "CI_SUBJECT_GIVEN",
    "ruleset": "RULESET",
    "upgrade_channel": "UPGRADE_CHANNEL",
    "maintenance_window": "MAINTENANCE_WINDOW",
    "authorized_ranges": "AUTHORIZED_RANGES",
    "discord_webhook": "DISCORD_WEBHOOK_FILE",
    "status_token": "STATUS_TOKEN_FILE",
    "dispatch_token": "DISPATCH_TOKEN_FILE",
}
# The value with which a person names the resource of a step that may already exist.
NAMED = {"group": "RESOURCE_GROUP", "cluster": "AKS_NAME", "registry": "ACR_NAME"}
# Files that may be deleted after the run.
_ONCE = ("DISCORD_WEBHOOK_FILE", "STATUS_TOKEN_FILE", "DISPATCH_TOKEN_FILE")
# The value that each tag of the bot's identity keeps.
TAGS = {
    "location": "AZURE_LOCATION",
    "cluster": "AKS_NAME",
    "cluster-group": "AKS_RESOURCE_GROUP",
    "registry": "ACR_NAME",
    "registry-group": "ACR_RESOURCE_GROUP",
    "vault": "KEYVAULT_NAME",
    "repository": "GITHUB_REPOSITORY",
    "node-size": "NODE_SIZE",
}
# What the default names derive from.
_IDS = ("NAME", "AZURE_SUBSCRIPTION_ID")
_FORMS = {
    "NAME": (r"[a-z][a-z0-9-]{1,20}[a-z0-9]", "3 to 22 lower-case letters, digits and hyphens"),
    "ACR_NAME": (r"[a-zA-Z0-9]{5,50}", "5 to 50 letters and digits"),
    "KEYVAULT_NAME": (
        r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
        "3 to 24 letters, digits and single hyphens",
    ),
    "GITHUB_REPOSITORY": (r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", "OWNER/NAME"),
    "RESOURCE_GROUP": (r"[\w().-]{1,89}[\w()-]", "at most 90 letters, digits and ._()-"),
    "AKS_NAME": (r"[a-zA-Z0-9](?:[\w-]{0,61}[a-zA-Z0-9])?", "at most 63 letters, digits, - and _"),
    "MAINTENANCE_WINDOW": (
        (
            r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day (?:[01]\d|2[0-3]):[0-5]\d"
            r"(?: [+-](?:0\d|1[0-4]):[0-5]\d)?"
        ),
        "a day and a time, with the offset from UTC if there is one: 'Sunday 03:00 +02:00'",
    ),
    "AUTHORIZED_RANGES": (
        r"[0-9.]+(?:/\d{1,2})?(?:,[0-9.]+(?:/\d{1,2})?)*",
        "IPv4 addresses or CIDRs, separated by commas",
    ),
}


def from_arguments(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the values that the command line sets."""
    named = {value: getattr(arguments, name, None) for name, value in ARGUMENTS.items()}
    return {name: value for name, value in named.items() if value}


def from_record(record: Mapping[str, str]) -> dict[str, str]:
    """Return what was chosen in an earlier run; ids are looked up again each time."""
    kept = [value for value in ARGUMENTS.values() if value not in _ONCE]
    return {value: record[value] for value in kept if record.get(value)}


def named(said: Mapping[str, str], record: Mapping[str, str]) -> frozenset[str]:
    """Return the steps whose resource was named, now or earlier, and is not known to be ours."""
    made = record.get("MADE", "").split(", ")
    usual = with_defaults({key: record[key] for key in _IDS if key in record}) if record else {}
    chosen = {key for key, value in record.items() if value != usual.get(key)} | set(said)
    return frozenset(step for step, key in NAMED.items() if key in chosen and step not in made)


def with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Add defaults for what was not chosen; names that must be unique derive from the ids.

    Raises Stop for a value that Azure or GitHub would refuse.
    """
    name = values["NAME"]
    full = {**_DEFAULTS, "RESOURCE_GROUP": name, "AKS_NAME": name, **values}
    if "AZURE_SUBSCRIPTION_ID" in full:
        words = f"{full['AZURE_SUBSCRIPTION_ID']}|{name}"
        only = hashlib.sha256(words.encode()).hexdigest()[:6]
        full.setdefault("ACR_NAME", f"{name.replace('-', '')}{only}")
        full.setdefault("KEYVAULT_NAME", f"{name[:17].rstrip('-')}-{only}")
    full.setdefault("AKS_RESOURCE_GROUP", full["RESOURCE_GROUP"])
    full.setdefault("ACR_RESOURCE_GROUP", full["RESOURCE_GROUP"])
    if "GITHUB_REPOSITORY" in full:
        full["GIT_URL"] = f"ssh://git@github.com/{full['GITHUB_REPOSITORY']}.git"
    wrong = [
        f"{key} is {full[key]!r} and has to be {words}"
        for key, (form, words) in _FORMS.items()
        if key in full and not re.fullmatch(form, full[key])
    ]
    if wrong:
        raise Stop("\n".join(wrong))
    for one in full.get("AUTHORIZED_RANGES", "").split(","):
        _check_range(one)
    day, time, *offset = full["MAINTENANCE_WINDOW"].split()
    full |= {"WINDOW_DAY": day, "WINDOW_TIME": time, "WINDOW_OFFSET": (*offset, "+00:00")[0]}
    return full


def _check_range(text: str) -> None:
    """Raise Stop for an address or a range that AKS does not take."""
    try:
        if text and not ipaddress.ip_network(text).is_global:
            raise Stop(f"--authorized-ranges takes public addresses, and {text} is not one.")
    except ValueError as error:
        raise Stop(f"--authorized-ranges: {error}.") from error


def from_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the choices of an earlier run from the tags of the bot's identity."""
    return {value: tags[tag] for tag, value in TAGS.items() if tags.get(tag)}


FOLDER = Path(__file__).resolve().parent
_HEAD = "# Written by `python -m clusters.azure`. Ids of your Azure: Git ignores this file.\n"


def record_path(name: str, folder: Path = FOLDER) -> Path:
    """Return the path of the record of the set-up NAME."""
    return folder / f"{name}.local.env"


def load_record(path: Path) -> dict[str, str]:
    """Read a record; empty if there is none."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key: "".join(shlex.split(value)) for key, value in pairs}


def own_kubeconfig(name: str) -> str:
    """Return the set-up's kubeconfig; "" if there is none, or the environment names another."""
    own = FOLDER / f"{name}.local.kubeconfig"
    return str(own) if own.exists() and "KUBECONFIG" not in os.environ else ""


def save_record(path: Path, values: Mapping[str, str]) -> None:
    """Write a record atomically, readable by this user only."""
    text = _HEAD + "".join(f"{key}={shlex.quote(values[key])}\n" for key in sorted(values))
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f"draft-{path.name}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
