"""Tests of the set-up in Azure, and the scripted world that they run it in."""
