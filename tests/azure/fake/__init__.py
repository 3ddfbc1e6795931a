"""Fake az, gh, kubectl and flux over one state: no kinder than the real programs."""
