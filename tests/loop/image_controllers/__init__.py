"""Stands in for Flux's image-reflector- and image-automation-controller. README.md has the why."""
