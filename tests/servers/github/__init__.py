"""A server for the calls that Flux makes to GitHub's REST API: statuses and dispatches."""
