"""The control API: how tests and people act on the test server, on loopback."""
