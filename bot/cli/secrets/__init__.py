"""`python -m bot secrets`: check, set, rotate and undo the secrets in Azure Key Vault."""
