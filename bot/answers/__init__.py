"""Carry out an accepted request, up to the end of its answer."""
