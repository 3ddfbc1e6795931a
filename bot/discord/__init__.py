"""Discord's gateway, REST API, commands and buttons; the only package that uses discord.py."""
