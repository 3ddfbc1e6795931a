"""The scripted `az`: which command lines it knows, and what each of them has to say as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.azure import az_access, az_account, az_cluster, az_resources
from tests.azure.world import SUBSCRIPTION, Asked, Unknown, Verb, read

# These are not about a subscription.
_GLOBAL = {"version", "account show", "ad signed-in-user show", "ad sp show", "rest"}


def az(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    """Read a command line of `az`. Each has to name the subscription, and to ask for JSON."""
    asked, verb = read(_VERBS, argv, stdin, env)
    if asked.one("--output") != "json":
        raise Unknown(argv)
    if asked.words not in _GLOBAL and asked.one("--subscription") != SUBSCRIPTION:
        raise Unknown(argv)
    return asked, verb


def _always(words: str, verb: Verb) -> Verb:
    subscription = () if words in _GLOBAL else ("--subscription",)
    return replace(verb, options=(*verb.options, "--output", "--only-show-errors", *subscription))


_VERBS = {
    words: _always(words, verb)
    for part in (az_account, az_resources, az_access, az_cluster)
    for words, verb in part.VERBS.items()
}
