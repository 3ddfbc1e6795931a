"""Azure Key Vault and Entra's token endpoint, stood in for; README.md says what they do."""
