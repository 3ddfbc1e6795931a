"""The client of the language model's provider: requests, streams, retries, tools."""
