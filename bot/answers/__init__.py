"""From an accepted request to the last word of its answer."""
