"""Import discord.py once without its warning, and leave nothing behind in Azure's libraries."""

import logging
import sys
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    # Python 3.11 says that audioop will go; discord.py brings its own where it has gone.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord  # noqa: F401


@pytest.fixture(autouse=True)
def _every_vault_is_new() -> Iterator[None]:
    """Forget what a vault said of itself: Azure's library keeps it for the whole process."""
    yield
    cache = sys.modules.get("azure.keyvault.secrets._shared.http_challenge_cache")
    if cache is not None:
        cache.clear()


@pytest.fixture(autouse=True)
def _every_log_is_written() -> Iterator[None]:
    """Undo what a command for a person at a terminal does: it silences the log of its process."""
    yield
    logging.disable(logging.NOTSET)
