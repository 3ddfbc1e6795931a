"""Speaks OpenAI's protocol for tests and the loop; README.md says what it can do."""
