"""Of several processes one speaks: which, and what the next has to know; it touches the Lease."""
