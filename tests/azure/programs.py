"""The programs of the scripted world."""

from __future__ import annotations

from tests.azure.az import az
from tests.azure.gh import gh
from tests.azure.kubectl import flux, kubectl, python
from tests.azure.world import World

PROGRAMS = {"az": az, "gh": gh, "kubectl": kubectl, "flux": flux, "python": python}


def a_world() -> World:
    """Make a world with nothing in it."""
    return World(PROGRAMS)
