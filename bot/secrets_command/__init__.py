"""`python -m bot secrets`: look at the secrets in Key Vault, set, rotate, and take a step back."""
