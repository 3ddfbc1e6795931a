"""Release programs: name an image, find it, tag it, and keep a rollback rolled back.

Run as `PYTHONPATH=.github/scripts python -m release COMMAND`; `--help` explains each command. The
workflows and the one-machine loop call the same commands. Nothing but Python's standard library,
Git and crane is needed, so a job that holds a key installs no third-party code.
"""
