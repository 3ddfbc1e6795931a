"""Imports discord.py and ignores its one expected warning.

It imports audioop, which is deprecated in Python 3.11 and 3.12; warnings are errors in the tests.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import discord
    from discord import app_commands
    from discord.gateway import DiscordWebSocket

__all__ = ["DiscordWebSocket", "app_commands", "discord"]
