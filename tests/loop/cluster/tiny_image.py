"""An image of one static program on nothing, put together here.

A pod's sandbox needs one before there is a registry to pull from, and tests put their own
programs into pods by it.
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from tests.loop.supervisor import state

_NOBODY = "65532:65532"


def write(archive: Path, name: str, program: Path) -> None:
    """Write the image as `docker save` would; PROGRAM is its entry point, under its own name."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": _NOBODY},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    content = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar(content, mode=0o644))


def import_command(archive: Path) -> tuple[str, ...]:
    """Return the command that gives the image to our containerd."""
    address = f"--address={state.CONTAINERD_SOCKET}"
    return ("ctr", address, "--namespace=k8s.io", "images", "import", str(archive))


def _tar(content: dict[str, bytes], mode: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
