"""The loop's planted faults import discord.py, which warns once about audioop."""

from tests.servers.discord import library

__all__ = ["library"]
