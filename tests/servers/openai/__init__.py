"""A test server for OpenAI's protocol, for tests and the loop; README.md describes it."""
