"""What the bot is doing, for a person at a terminal and for programs.

It reads the cluster with kubectl and the bot's own metrics, and changes nothing. What cannot be
read is None, never 0, and a sentence in `problems` says why and what to do.
"""
