"""What led to a question, as bounded turns for the model: history, attachments, prompt."""
