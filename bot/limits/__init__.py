"""Whether a call may be answered now: calls per hour and money; it counts, and asks nobody."""
