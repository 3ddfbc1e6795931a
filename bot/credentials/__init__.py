"""The Discord token and the provider's key: from files, Key Vault or the environment."""
