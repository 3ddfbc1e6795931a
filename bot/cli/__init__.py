"""The commands of `python -m bot`: run, check-config, check-provider, chat, secrets."""
