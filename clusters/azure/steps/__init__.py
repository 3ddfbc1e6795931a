"""What has to exist, step by step: each is checked, made where it is missing, and undone again."""
