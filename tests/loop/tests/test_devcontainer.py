"""The development container: buildah builds it from its Dockerfile, and it has all that is needed.

Roots of this machine's own Go and Node, and of Debian's packages, stand in for the images that it
names.
"""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.loop.cluster.images import Builder, debian_root
from tests.tools import cache, packages, prebuilt

_FOLDER = Path(__file__).resolve().parents[3] / ".devcontainer"
_TEXT = (_FOLDER / "Dockerfile").read_text()
_GO, _NODE, _DEBIAN = re.findall(r"^FROM (\S+)", _TEXT, re.MULTILINE)


_ENTER = """\
root=$1; shift
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" env -i HOME=/root PATH=/root/go/bin:/usr/local/go/bin:/usr/local/sbin:\
/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


def _packages() -> set[str]:
    found = re.search(r"--no-install-recommends \\\n(.*?)&&", _TEXT, re.DOTALL)
    assert found
    return set(found[1].replace("\\", "").split())


def test_it_installs_what_the_loop_needs() -> None:
    assert {package.name for package in packages.PACKAGES} <= _packages()


def test_its_go_is_the_one_whose_builds_the_registry_may_have() -> None:
    """With another one, TOOLS_CACHE would find nothing that the tree names."""
    versions = set(re.findall(r"^go(\S+) ", prebuilt.DIGESTS.read_text(), re.MULTILINE))

    assert _GO.rpartition(":")[2].removesuffix("-bookworm") in versions


def test_it_is_privileged_and_keeps_the_loop_off_its_own_overlay() -> None:
    lines = (_FOLDER / "devcontainer.json").read_text().splitlines()
    said = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))

    assert said["privileged"] is True
    assert "--cgroupns=host" in said["runArgs"]
    targets = {mount["target"] for mount in said["mounts"]}
    assert {"/var/lib/discord-sky-loop", "/root/.cache"} <= targets


@pytest.fixture
def bases(tmp_path: Path) -> dict[str, Path]:
    """Tar files of roots with this machine's Go and Node, and of Debian 12."""
    root = Path(
        subprocess.run(
            ["go", "env", "GOROOT"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    node = shutil.which("node")
    assert node is not None
    npm = Path(shutil.which("npm") or "").resolve().parents[2]  # …/node_modules
    made = {
        _GO: {"usr/local/go": root},
        _NODE: {"usr/local/bin/node": Path(node).resolve(), "usr/local/lib/node_modules": npm},
    }
    found: dict[str, Path] = {}
    for name, content in made.items():
        found[name] = tmp_path / f"{len(found)}.tar"
        with tarfile.open(found[name], "w") as tar:
            for inside, path in content.items():
                tar.add(path, inside)
    recipe = ("--variant=minbase", "--aptopt=Apt::Install-Recommends false", "bookworm")
    return {**found, _DEBIAN: debian_root("bookworm", recipe, print)}


@pytest.mark.timeout(600)
def test_it_builds_and_has_every_program(bases: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "root"

    Builder(print).export_with(bases, _FOLDER, root)

    def inside(*command: str) -> str:
        """Run a command in the container's root, in a mount namespace that ends with it."""
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", _ENTER, "sh")
        done = subprocess.run(
            [*enter, str(root), *command], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    missing = [
        proof
        for package in packages.PACKAGES
        for proof in package.proofs
        if not (
            (root / proof.lstrip("/")).exists() if proof.startswith("/") else inside("which", proof)
        )
    ]
    assert missing == []
    go = inside("go", "env", "GOVERSION")
    assert cache.numbers(go) >= cache.numbers(cache.needed_go())
    assert int(inside("node", "--version").lstrip("v").partition(".")[0]) >= 20
    assert inside("npm", "--version")
    assert inside("python3", "-c", "import sys, venv; print(sys.version_info >= (3, 11))") == "True"
    for program in ("git", "make"):
        assert inside(program, "--version")
