"""Who the bot is, and where; it reads the personas' files and touches nothing else."""
