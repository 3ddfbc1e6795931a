"""Values and errors that every package shares; no I/O, no dependency on another package."""
