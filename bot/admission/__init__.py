"""Whether a request may be answered now: hourly limits and the budget."""
