"""Build the bot's image from the repository's own Dockerfile, by buildah, without an engine.

The base image that the Dockerfile names cannot be pulled here, so a Debian root with Python 3.13,
made by mmdebstrap from Debian's own packages, stands in for it. The stand-in is labelled with that
name, tag and digest, so another digest in the Dockerfile gives another image here too. The root and
buildah's layers are kept in the cache folder: they depend on nothing that a loop makes.

Used by the loop's stand-in for the image workflow (`merge.py`); nothing here runs in production.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tools import cache_root

_SUITE = "trixie"  # Debian 13, whose python3 is 3.13.
_BASE_RECIPE = (
    "--variant=minbase",
    "--include=python3,python3-venv,ca-certificates",
    "--aptopt=Apt::Install-Recommends false",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    _SUITE,
)
# pip inside the build sees the host's packages as the host's own pip does.
_PIP_FILES = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

_ROOT_IMAGE = "localhost/loop-root:{}"
_FROM = re.compile(r"^FROM\s+(\S+)(?:\s+AS\s+(\S+))?\s*$", re.MULTILINE | re.IGNORECASE)
_DIGEST = re.compile(r":[\w.-]+@sha256:[0-9a-f]{64}$")

Say = Callable[[str], None]


class BuildFailed(Exception):
    """A program that makes the image ended with an error; the message holds its last lines."""


def _run(command: Sequence[str | Path], **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise BuildFailed(f"{Path(str(command[0])).name} ended with {done.returncode}:\n{tail}")
    return done.stdout


def base_root_file() -> Path:
    """Return where the tar file of the base image's root is, once it was made."""
    return _root_file(f"{_SUITE}-python", _BASE_RECIPE)


def base_root(say: Say) -> Path:
    """Return the tar file of the base image's root, made by mmdebstrap once for this recipe."""
    return debian_root(f"{_SUITE}-python", _BASE_RECIPE, say)


def _root_file(name: str, recipe: Sequence[str]) -> Path:
    key = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:16]
    return cache_root() / "base" / f"{name}-{key}.tar"


def debian_root(name: str, recipe: Sequence[str], say: Say) -> Path:
    """Return the tar file of a Debian root, made by mmdebstrap once for these arguments."""
    wanted = _root_file(name, recipe)
    if not wanted.exists():
        say(f"making a root from Debian {recipe[-1]} (once, about 20 s)")
        wanted.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own until it is whole: a kill leaves no half root under the wanted name.
        with tempfile.TemporaryDirectory(dir=wanted.parent) as scratch:
            partial = Path(scratch) / "root.tar"
            _run(["mmdebstrap", "--quiet", *recipe, partial])
            partial.rename(wanted)
    return wanted


def base_of(dockerfile: Path) -> str:
    """Return the one image that every stage of a Dockerfile comes from, as its FROM lines name it.

    Raise BuildFailed if they name several, or one without a digest.
    """
    froms: list[tuple[str, str]] = _FROM.findall(dockerfile.read_text())
    stages = {stage for _, stage in froms}
    bases = sorted({base for base, _ in froms} - stages)
    if len(bases) != 1 or not _DIGEST.search(bases[0]):
        named = ", ".join(bases) or "none"
        raise BuildFailed(
            f"{dockerfile.name} must name one base image by tag@sha256:…, not {named}"
        )
    return bases[0]


class Builder:
    """Builds and pushes images; its layers live in the cache folder, its mounts nowhere.

    Every buildah runs in a mount namespace of its own, so that the mounts which it makes for its
    storage end with it.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        storage = cache_root() / "buildah"
        storage.mkdir(parents=True, exist_ok=True)
        self._buildah: tuple[str | Path, ...] = (
            "unshare", "--mount", "--propagation", "private",
            "buildah", "--root", storage / "root", "--runroot", storage / "run",
            "--storage-driver", "overlay",
        )  # fmt: skip

    def prepare(self) -> None:
        """Make the root file system of the base image, once for its recipe."""
        root = base_root(self._say)
        self._commit(_ROOT_IMAGE.format(root.stem), "scratch", f"loop.root={root.stem}", root)

    def _stand_in(self, base: str) -> str:
        """Put what stands in for BASE into the storage, if it is not there; return its name."""
        root = base_root(self._say).stem
        key = hashlib.sha256(f"{root}\n{base}".encode()).hexdigest()[:16]
        name = f"localhost/loop-base:{key}"
        self._commit(name, _ROOT_IMAGE.format(root), f"loop.base={base}")
        return name

    def _commit(self, name: str, parent: str, label: str, files: Path | None = None) -> None:
        """Make the image NAME from PARENT with a label, and files at its root, if there is none."""
        if _run([*self._buildah, "images", "--quiet", "--filter", f"reference={name}"]).strip():
            return
        container = _run([*self._buildah, "from", "--pull-never", parent]).strip()
        try:
            if files:
                _run([*self._buildah, "add", "--quiet", container, files, "/"])
            _run([*self._buildah, "config", "--label", label, container])
            _run([*self._buildah, "commit", "--quiet", container, name])
        finally:
            _run([*self._buildah, "rm", container])

    def export_with(self, bases: Mapping[str, Path], context: Path, folder: Path) -> None:
        """Build CONTEXT's Dockerfile and write the image's files into FOLDER.

        Tar files of roots stand in for the images that it names, by BASES. Raise BuildFailed.
        """
        contexts = []
        for name, root in bases.items():
            key = hashlib.sha256(f"{name}\n{root.stat().st_size}".encode()).hexdigest()[:16]
            stand_in = f"localhost/loop-base:{key}"
            self._commit(stand_in, "scratch", f"loop.base={name}", root)
            contexts.append(f"--build-context={name}=container-image://{stand_in}")
        self._bud(context, *contexts, "--output", f"type=local,dest={folder}")

    def build(self, context: Path, reference: str, revision: str) -> str:
        """Build CONTEXT's Dockerfile, push it as REFERENCE over HTTP, and return its digest.

        The digest is `sha256:` and 64 hex digits, as the registry knows the manifest.
        Raise BuildFailed with the last lines of what buildah said.
        """
        self._build(context, "--build-arg", f"REVISION={revision}", "--tag", reference)
        with tempfile.TemporaryDirectory() as scratch:
            digest = Path(scratch) / "digest"
            _run([
                *self._buildah, "push", "--quiet", "--tls-verify=false",
                "--digestfile", digest, reference, f"docker://{reference}",
            ])  # fmt: skip
            return digest.read_text().strip()

    def export(self, context: Path, folder: Path) -> dict[str, Any]:
        """Build CONTEXT's Dockerfile, write the image's files into FOLDER, return its config.

        The config has Env, Entrypoint and WorkingDir, as the OCI image has. Raise BuildFailed.
        """
        name = "localhost/discordskybot:measured"
        self._build(context, "--tag", name)
        self._build(context, "--output", f"type=local,dest={folder}")
        about = json.loads(_run([*self._buildah, "inspect", "--type", "image", name]))
        return dict(about["OCIv1"]["config"])

    def _build(self, context: Path, *options: str) -> None:
        self.prepare()
        base = base_of(context / "Dockerfile")
        replaced = f"--build-context={base}=container-image://{self._stand_in(base)}"
        mounts = [Path(name).expanduser() for name in (*_PIP_FILES, _CA_BUNDLE)]
        shared = [f"--volume={path}:{path}:ro" for path in mounts if path.exists()]
        self._bud(context, replaced, *shared, *options)

    def _bud(self, context: Path, *options: str) -> None:
        _run([
            *self._buildah, "bud", "--quiet", "--layers", "--isolation", "chroot",
            "--network", "host", "--pull=never", "--format", "oci", *options,
            context,
        ])  # fmt: skip
