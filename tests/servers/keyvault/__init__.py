"""A test server for Azure Key Vault and Entra's token endpoint; README.md describes it."""
