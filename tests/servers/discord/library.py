"""discord.py, imported where its one warning is expected.

It imports audioop, which Python 3.11 and 3.12 announce as going; warnings are errors in the tests.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import discord
    from discord import app_commands
    from discord.gateway import DiscordWebSocket

__all__ = ["DiscordWebSocket", "app_commands", "discord"]
