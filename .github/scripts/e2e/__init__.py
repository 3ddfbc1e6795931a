"""The release scenarios on kind with upstream Flux, unmodified; the `e2e` workflow runs them.

    python -m e2e up          servers and Flux around a kind cluster that runs already
    python -m e2e scenarios   deploy, revert of a merge, revert of a bump, an image that crashes
    python -m e2e state       print everything a person needs to see why it failed

The host has the one-machine loop's address (10.244.0.1), so clusters/local is used as it is. Needs
docker, kind, kubectl, flux, and the environment of `make setup`; root for the address.
"""
