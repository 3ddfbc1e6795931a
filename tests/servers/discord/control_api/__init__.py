"""The control API: how tests and people act in the stand-in's world, on loopback."""
