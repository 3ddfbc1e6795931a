"""Import discord.py once without its warning: here all warnings are errors."""

import warnings

with warnings.catch_warnings():
    # Python 3.11 says that audioop will go; discord.py brings its own where it has gone.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord  # noqa: F401
