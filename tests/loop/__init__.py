"""The one-machine loop: a real cluster as a supervised set of processes. README.md explains it."""
