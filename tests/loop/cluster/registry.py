"""The registry: distribution, over plain HTTP on the bridge's address."""

import json

from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec
from tests.tools import tool

_CONFIG = state.STATE / "registry.json"


def write_configuration() -> None:
    """Write its configuration (JSON is YAML)."""
    config = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(state.STATE / "registry")},
            "delete": {"enabled": True},
            # No uploads are ever left half-done for a day.
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": state.REGISTRY},
    }
    _CONFIG.write_text(json.dumps(config, indent=1) + "\n")


def spec() -> Spec:
    """How it is started."""
    return Spec(
        "registry",
        (tool("registry"), "serve", _CONFIG),
        readiness.http(state.REGISTRY, "/v2/"),
        # It would look for a collector of traces on this machine, and complain each second.
        environment={"OTEL_TRACES_EXPORTER": "none"},
    )
