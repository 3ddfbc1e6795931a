"""The steps of set-up: each is checked, taken if something is missing, and undone by teardown."""
