"""Hypothesis judges what is returned, not how long it took: machines are shared and noisy."""

from hypothesis import settings

settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")
