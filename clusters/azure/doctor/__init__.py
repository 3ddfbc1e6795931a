"""Walk from the cluster to the bot's answer, and name the first link that is broken.

collect.py gathers facts with kubectl, and with az where somebody is logged in; chain.py tells from
them, and from nothing else, how each link is. `main` in command.py is the whole of it.
"""
