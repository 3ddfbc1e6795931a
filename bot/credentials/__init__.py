"""The two secrets, from files, Key Vault or the environment; other rooms get the value in use."""
