"""Check every link from the cluster to the bot's answer, and name the first broken one.

probes.py gathers facts with kubectl, and with az and gh if somebody is logged in. links.py decides
from those facts, and from nothing else, whether each link works.
"""
