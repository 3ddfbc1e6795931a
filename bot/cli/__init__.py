"""The commands of `python -m bot`: check-config, chat, secrets."""
