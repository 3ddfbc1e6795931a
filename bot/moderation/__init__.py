"""Checks of questions and answers: banned words, links, the provider's moderation."""
