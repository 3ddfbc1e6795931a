"""Turns in, text out: here, and nowhere else, the model's provider is asked for answers."""
