"""Make the virtual environment that every other command runs in.

Run as `python3 tests/setup_venv.py DIR` by the Makefile, with whatever Python is there: so this
file keeps to syntax that an old Python can still parse, to be able to say that it is too old.
Exit code 2 and one sentence with the remedy when the machine lacks something.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = (3, 11)
LOCK = Path(__file__).resolve().parent / "requirements.txt"


def fail(message: str) -> None:
    """Say MESSAGE and end with exit code 2."""
    sys.stderr.write("setup: " + message + "\n")
    sys.exit(2)


def have_venv() -> bool:
    """Tell whether this Python can make a virtual environment with pip in it."""
    try:
        import ensurepip  # noqa: F401, PLC0415 - its absence is what Debian's split packages show
        import venv  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def install_debian_venv() -> None:
    """Install Debian's python3-venv where that is possible; say what is missing where not."""
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "python3-venv"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        fail("Python's venv module is missing. Install it (Debian: " + " ".join(command) + ").")
    sys.stdout.write("setup: installing python3-venv\n")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "update", "-q"], env=environment, check=False)
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        fail("could not install python3-venv; install it by hand and run this again.")


def main() -> None:
    """Make the environment named by the first argument, from tests/requirements.txt."""
    if sys.version_info < NEEDED:
        fail(
            "Python {}.{} or newer is needed and this is {}.{}: ".format(
                *NEEDED, *sys.version_info[:2]
            )
            + "run again with another one, make PYTHON=/path/to/python3.11 …"
        )
    target = Path(sys.argv[1])
    if not have_venv():
        install_debian_venv()
    sys.stdout.write("setup: making " + str(target) + " (about half a minute the first time)\n")
    sys.stdout.flush()
    # Not `venv --clear`: the running interpreter may be the one in it when a lock has changed.
    made = subprocess.run([sys.executable, "-m", "venv", str(target)], check=False)
    if made.returncode != 0:
        fail("could not make " + str(target) + "; remove that folder and run this again.")
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    options = ["--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    if subprocess.run(pip + options, check=False).returncode != 0:
        fail("pip could not install tests/requirements.txt; its message above says why.")


if __name__ == "__main__":
    main()
