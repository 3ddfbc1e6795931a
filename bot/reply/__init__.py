"""An answer in messages while it is being written; it knows Discord only as an outbox."""
