"""Test servers that speak the real protocols of services that cannot run on this machine."""
