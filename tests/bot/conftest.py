"""Leave nothing behind in Azure's libraries, and the log as it was."""

import logging
import sys
from collections.abc import Iterator

import pytest


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
