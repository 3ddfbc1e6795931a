"""Git over HTTP: lighttpd in front of Git's own backend, for anonymous clones and pushes.

The repository is seeded with the commit that is checked out, with its whole history, as `main`.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec

_CONFIG = state.STATE / "lighttpd.conf"
_DOCUMENTS = state.STATE / "git"


class SeedFailed(RuntimeError):
    """The checkout's commit could not be brought into the loop's repository."""


def git(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run Git without anybody's configuration and return what it printed. Raises SeedFailed."""
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
        },
    )
    if done.returncode != 0:
        raise SeedFailed(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def in_checkout(checkout: Path, *arguments: str) -> str:
    """Run Git in the checkout, regardless of its owner (the loop runs as root)."""
    return git("-c", f"safe.directory={checkout}", "-C", checkout, *arguments)


def seed(checkout: Path) -> str:
    """Make the bare repository from CHECKOUT's HEAD and return that commit. Raises SeedFailed."""
    commit = in_checkout(checkout, "rev-parse", "HEAD")
    # By a bundle, because a fetch would start Git in the checkout without `safe.directory`.
    bundle = state.STATE / "seed.bundle"
    in_checkout(checkout, "bundle", "create", "--quiet", str(bundle), "HEAD")
    bare = state.GIT_REPOSITORY
    git("init", "--quiet", "--bare", "--initial-branch=main", bare)
    git("--git-dir", bare, "fetch", "--quiet", bundle, "HEAD:refs/heads/main")
    bundle.unlink()
    for setting, value in {
        "http.receivepack": "true",
        # No housekeeping in the background: it would outlive a request, and `down`.
        "gc.auto": "0",
        "receive.autogc": "false",
        "maintenance.auto": "false",
    }.items():
        git("--git-dir", bare, "config", setting, value)
    return commit


def show(path: str) -> str | None:
    """Return the content of PATH at the loop's `main`; None when it is not there."""
    try:
        return git("--git-dir", state.GIT_REPOSITORY, "show", f"main:{path}")
    except SeedFailed:
        return None


def write_configuration() -> None:
    """Write lighttpd's configuration."""
    backend = Path(git("--exec-path"), "git-http-backend")
    uploads = state.STATE / "tmp"
    _CONFIG.write_text(f"""\
server.modules = ("mod_alias", "mod_setenv", "mod_cgi")
server.bind = "{state.HOST}"
server.port = {state.GIT_PORT}
server.document-root = "{_DOCUMENTS}"
# Hand a push on as it comes in, instead of storing it first.
server.stream-request-body = 2
server.stream-response-body = 2
server.upload-dirs = ("{uploads}")
setenv.set-environment = (
  "GIT_PROJECT_ROOT" => "{_DOCUMENTS}",
  "GIT_HTTP_EXPORT_ALL" => "1",
  "GIT_CONFIG_NOSYSTEM" => "1",
  "HOME" => "/nonexistent",
)
alias.url = ("/" => "{backend}/")
cgi.assign = ("" => "")
""")


def spec() -> Spec:
    """How it is started."""
    return Spec(
        "git",
        (lighttpd(), "-D", "-f", _CONFIG),
        readiness.http(
            f"{state.HOST}:{state.GIT_PORT}",
            "/discord-sky.git/info/refs?service=git-upload-pack",
        ),
    )


def lighttpd() -> str:
    """Return the program's path; Debian puts it where a user's PATH does not look."""
    return shutil.which("lighttpd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "lighttpd"


def is_shallow(checkout: Path) -> bool:
    """Whether CHECKOUT lacks a part of its history."""
    return in_checkout(checkout, "rev-parse", "--is-shallow-repository") == "true"


def uncommitted(checkout: Path) -> Sequence[str]:
    """Return files that differ from HEAD, which the loop will not see."""
    return in_checkout(checkout, "status", "--porcelain").splitlines()
