"""`make bench SECTIONS=cost`: what the bot costs, as a process in a cgroup beside the stand-ins."""
