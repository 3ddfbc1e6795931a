# The bot's image. Built as it is by buildx in the image workflow and by buildah in the one-machine
# loop, which has no registry to pull from and lets a root file system of its own stand in for the base
# (tests/loop/cluster/images.py). The digest makes the base part of what the image is found by, so a patched
# base is a new image; Dependabot proposes it, a newer Python too. Both FROM lines name the same base.
FROM docker.io/library/python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS build
# Bytecode is compiled here, once: the root file system is read-only at run time, and importing
# without it costs a CPU-second that a pod with a quarter of a core does not have.
# Unchecked, because nothing in an image is edited after it.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
COPY bot/requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --quiet --require-hashes --only-binary=:all: --no-compile \
      --requirement /tmp/requirements.txt \
 && /opt/venv/bin/pip uninstall --quiet --yes pip \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib
COPY bot /app/bot
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app

FROM docker.io/library/python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# No shell is needed to run it, and no user of the node is meant by this number.
USER 65532:65532
ENTRYPOINT ["/opt/venv/bin/python", "-m", "bot"]
# Last, because it differs with every commit. The image is found by what it was built from (the tag
# src-<hash>), so this names the commit that first built these inputs, not every one that ran them.
ARG REVISION=unknown
ENV SKY_REVISION=$REVISION PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="discordskybot" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision=$REVISION
