"""What all tests share: how hypothesis judges, and discord.py imported without its warning."""

import warnings

from hypothesis import settings

# It judges what is returned, not how long it took: machines are shared and noisy.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")

with warnings.catch_warnings():
    # Python 3.11 says that audioop will go; discord.py brings its own where it has gone.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord  # noqa: F401
