"""Typed settings from a TOML or YAML file and the environment, validated at once."""
