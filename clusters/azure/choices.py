"""What a person chooses, and where an answer comes from that was given earlier."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping

from clusters.azure.errors import Stop

NAME = "discord-sky"
_DEFAULTS = {"AZURE_LOCATION": "eastus", "NODE_SIZE": "Standard_D2s_v5"}
# The arguments by the values that they set.
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
    "discord_webhook": "DISCORD_WEBHOOK_FILE",
    "status_token": "STATUS_TOKEN_FILE",
}
# The steps by the value with which a person names a thing that may be there, and somebody else's.
NAMED = {"group": "RESOURCE_GROUP", "cluster": "AKS_NAME", "registry": "ACR_NAME"}
# Files that may be gone by the next time.
_ONCE = ("DISCORD_WEBHOOK_FILE", "STATUS_TOKEN_FILE")
# The tags of the bot's identity by the values that they keep.
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
# What the names come from that nobody chose.
_IDS = ("NAME", "AZURE_SUBSCRIPTION_ID")
_FORMS = {
    "NAME": (r"[a-z][a-z0-9-]{1,20}[a-z0-9]", "3 to 22 small letters, digits and hyphens"),
    "ACR_NAME": (r"[a-zA-Z0-9]{5,50}", "5 to 50 letters and digits"),
    "KEYVAULT_NAME": (
        r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
        "3 to 24 letters, digits and single hyphens",
    ),
    "GITHUB_REPOSITORY": (r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", "OWNER/NAME"),
    "RESOURCE_GROUP": (r"[\w().-]{1,89}[\w()-]", "at most 90 letters, digits and ._()-"),
    "AKS_NAME": (r"[a-zA-Z0-9](?:[\w-]{0,61}[a-zA-Z0-9])?", "at most 63 letters, digits, - and _"),
}


def given(arguments: argparse.Namespace) -> dict[str, str]:
    """What the command line says."""
    named = {value: getattr(arguments, name, None) for name, value in ARGUMENTS.items()}
    return {name: value for name, value in named.items() if value}


def earlier(record: Mapping[str, str]) -> dict[str, str]:
    """What an earlier run was told; ids are looked up anew each time."""
    kept = [value for value in ARGUMENTS.values() if value not in _ONCE]
    return {value: record[value] for value in kept if record.get(value)}


def named(said: Mapping[str, str], record: Mapping[str, str]) -> frozenset[str]:
    """Which steps' things were named, now or earlier, and are not known to be set-up's own."""
    made = record.get("MADE", "").split(", ")
    usual = complete({key: record[key] for key in _IDS if key in record}) if record else {}
    told = {key for key, value in record.items() if value != usual.get(key)} | set(said)
    return frozenset(step for step, key in NAMED.items() if key in told and step not in made)


def complete(values: Mapping[str, str]) -> dict[str, str]:
    """Fill in what nobody chose. The names that must be the world's only ones come from the ids.

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
    return full


def remembered(tags: Mapping[str, str]) -> dict[str, str]:
    """What the tags of the bot's identity keep of an earlier run's choices."""
    return {value: tags[tag] for tag, value in TAGS.items() if tags.get(tag)}
