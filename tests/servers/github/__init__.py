"""A server that speaks the calls of GitHub's REST API that Flux makes: statuses and dispatches."""
