"""Discord Sky: a Discord bot that answers with a language model. Run it as `python -m bot`."""
