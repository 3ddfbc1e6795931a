"""Between people and the model, both ways; it may ask the provider's moderation, nothing else."""
