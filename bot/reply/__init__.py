"""An answer as Discord messages while it is being written; independent of Discord's library."""
