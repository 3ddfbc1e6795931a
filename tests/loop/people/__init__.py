"""What people and GitHub do around the cluster: merge, revert, release, chat, observe."""
