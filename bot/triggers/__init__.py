"""Which messages the bot answers, and who may call it. Pure: no I/O."""
