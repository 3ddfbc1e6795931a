"""What led to a call, as bounded turns for the model; it fetches attachments, says nothing."""
