"""Personas: read from files, looked up by name and by location."""
