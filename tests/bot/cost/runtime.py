"""What runs the bot: the image's own root, Python and bytecode, or this machine's Python."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bot.integration.process import REPOSITORY
from tests.loop.cluster.images import Builder

# A mount namespace of its own, which ends with the process; the files given to the bot lie at the
# same place inside. Nothing forks, so the process that is started is the bot.
_CHROOT = """\
root=$1 files=$2 workdir=$3; shift 3
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir -p "$root$files"
mount --bind "$files" "$root$files"
exec chroot "$root" env --chdir="$workdir" "$@"
"""


@dataclass(frozen=True)
class Runtime:
    """How a Python of some kind is run, and what to call it in a table."""

    name: str
    python: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    workdir: str = str(REPOSITORY)

    @property
    def cwd(self) -> str | None:
        """The folder to start it in; inside a root of its own it changes there by itself."""
        return None if self.root else self.workdir

    def command(self, files: Path, *arguments: str) -> list[str]:
        """Give the command line of Python with ARGUMENTS; FILES is a folder that it can read."""
        command = [*self.python, *arguments]
        if self.root is None:
            return command
        inside = [str(self.root), str(files), self.workdir]
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _CHROOT, "sh"]
        return [*enter, *inside, *command]


def of_image(folder: Path) -> Runtime:
    """Build the image from this tree, as the loop does, and lay its root out in FOLDER."""
    config = Builder(print).export(REPOSITORY, folder)
    *python, _, _ = config["Entrypoint"]  # python -m bot
    environment = dict(each.split("=", 1) for each in config["Env"])
    version = subprocess.run(
        ["chroot", folder, *python, "-V"], check=True, capture_output=True, text=True
    ).stdout.strip()
    workdir = config["WorkingDir"]
    return Runtime(f"{version} of the image", tuple(python), environment, folder, workdir)


def of_this_machine() -> Runtime:
    """Take the Python that runs this; the bot's first start compiles the bytecode."""
    name = f"Python {platform.python_version()} of this machine, not the image's"
    return Runtime(name, (sys.executable,), {"PATH": "/usr/bin:/bin"})
