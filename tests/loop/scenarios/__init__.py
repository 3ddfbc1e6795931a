"""Scenarios on a running loop: deploys, disruptions, rotations, loads and their outcomes."""
