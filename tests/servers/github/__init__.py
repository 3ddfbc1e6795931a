"""A server that speaks the one call of GitHub's REST API that Flux makes: commit statuses."""
