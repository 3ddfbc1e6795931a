"""Command line: build the pinned tools, list what is cached, install Debian packages."""

import argparse
import difflib
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence

from tests.tools import build, cache, packages, prebuilt
from tests.tools.families import FAMILIES, GROUPS, Family

EXPLAIN = """\
The one-machine loop and the checks use programs of exact versions: Kubernetes, Flux, a registry
and so on. Each is built with Go from its published module, whose checksum is in
tests/tools/<family>/go.sum, into a cache. What is cached is not built again until its go.mod
changes. The first build of everything takes about 20 minutes on two cores and 16 GB of disk;
later ones build what was changed.

With TOOLS_CACHE=registry/repository in the environment, what that registry has is taken instead,
if it is what tests/tools/digests.txt names, byte for byte; anything else is built as ever.

  python -m tests.tools build                  everything
  python -m tests.tools build crane flux       only what these two need
  python -m tests.tools build loop             what `make demo` needs; check: for `make check`
  python -m tests.tools status                 what is built, from which version, how large
  eval "$(python -m tests.tools env)"          kubectl, flux, crane ... in this shell
  python -m tests.tools packages --install     Debian packages that the loop needs (root)
  python -m tests.tools clean                  remove what other pins had built
  python -m tests.tools digests                write digests.txt, after a bump and a build
  python -m tests.tools put REGISTRY/NAME      put what is built into a registry, with crane

The cache is $SKY_CACHE, or discord-sky in your cache folder. Exit code 2: this machine lacks
something, and the message says what to do.
"""
# What a failed build says, and what to do about it.
REMEDIES = {
    "no space left": "free some disk space (`go clean -cache` frees most), then run this again",
    "signal: killed": "the machine ran out of memory; end other programs, then run this again",
    "checksum mismatch": "the download is not what go.sum names; find out why before you go on",
    "SECURITY ERROR": "the download is not what go.sum names; find out why before you go on",
}


class Usage(RuntimeError):
    """A name on the command line is not known."""


def choose(names: Sequence[str]) -> list[Family]:
    """Return the families that NAMES (or tools, shared folders, groups) stand for; all if none."""
    provided = {
        family.name: {family.name, *family.provides}
        | {group for group, members in GROUPS.items() if family.name in members}
        for family in FAMILIES
    }
    known = set().union(*provided.values())
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            raise Usage(f"there is no tool or family {name!r}: {hint}")
    return [one for one in FAMILIES if not names or provided[one.name] & set(names)]


def build_missing(names: Sequence[str]) -> None:
    """Build what is missing of NAMES."""
    families = choose(names)
    toolchain = cache.toolchain()
    began = time.monotonic()
    missing = build.missing(families, toolchain)
    if missing and (repository := os.environ.get("TOOLS_CACHE", "")):
        build.check(missing, toolchain)
        print(
            f"tools: to take from {repository}: {', '.join(one.name for one in missing)}",
            flush=True,
        )
        with build.lock():
            missing = build.missing(families, toolchain)  # another run may have built some
            registry = prebuilt.Registry(repository, deadline=time.monotonic() + prebuilt.IN_ALL)
            missing = prebuilt.take_all(missing, toolchain, registry)
    if not missing:
        print(f"tools: all {len(families)} families are cached")
        return
    build.check(missing, toolchain)
    cached = ", ".join(family.name for family in families if family not in missing)
    minutes = sum(family.seconds for family in missing) / 60
    print(
        f"tools: cached: {cached or 'nothing'}\n"
        f"tools: to build: {', '.join(family.name for family in missing)}"
        f" (about {minutes:.0f} min on two cores if Go has nothing cached)",
        flush=True,
    )
    build.build(families, toolchain)
    print(f"tools: everything is built, {time.monotonic() - began:.0f} s")


def status() -> None:
    """Print what is built."""
    toolchain = cache.toolchain()
    print(f"cache {cache.cache_root()}, {toolchain.version} {toolchain.os}/{toolchain.arch}")
    for family in FAMILIES:
        folder = cache.entry(family, toolchain)
        state = "missing"
        if folder.is_dir():
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            state = f"{size / 1e6:5.0f} MB"
        print(f"{state:>8}  {family.name:22}{family.version():10}{' '.join(family.provides)}")
    if old := cache.stale(toolchain):
        print(f"{len(old)} entries of other pins; `python -m tests.tools clean` removes them")


def env() -> None:
    """Print a line that puts the built programs on a shell's PATH."""
    toolchain = cache.toolchain()
    folders = [cache.entry(family, toolchain) / "bin" for family in FAMILIES if family.tools]
    path = ":".join(shlex.quote(str(folder)) for folder in folders if folder.is_dir())
    print(f'export PATH={path}:"$PATH"' if path else "# nothing is built yet: run `make tools`")


def clean() -> None:
    """Remove cache entries that the pins of this checkout do not name."""
    old = build.clean(cache.toolchain())
    print(f"tools: removed {len(old)} entries" if old else "tools: nothing to remove")


def digests() -> None:
    """Write the digests of what this checkout builds."""
    new = prebuilt.write_digests(FAMILIES, cache.toolchain())
    print(f"tools: {prebuilt.DIGESTS.name} has {new} new lines" if new else "tools: nothing new")


def put(repository: str) -> None:
    """Put what is built into a registry, unless it is there; then name what nobody would take."""
    toolchain, registry = cache.toolchain(), prebuilt.Registry(repository)
    known = prebuilt.read_digests()
    lacking: list[str] = []
    for family in FAMILIES:
        entry = cache.entry(family, toolchain)
        if not entry.is_dir():
            raise cache.ToolMissing(f"{family.name} is not built: run `make tools`")
        if registry.has(entry.name):
            print(f"tools: {family.name}: there", flush=True)
            continue
        try:
            registry.put(family, toolchain, known)
        except prebuilt.NotNamed as error:
            lacking.append(error.line)
            print(f"tools: {family.name}: not put", flush=True)
        else:
            print(f"tools: {family.name}: put", flush=True)
    if lacking:
        lines = "\n".join(lacking)
        raise prebuilt.NotPut(
            f"{prebuilt.DIGESTS.name} does not name what was not put, so nobody would take it. "
            f"Lines to merge:\n{lines}\n`python -m tests.tools digests` writes them"
        )


def debian_packages(*, install: bool) -> None:
    """Say which packages are missing, or install them."""
    absent = packages.missing()
    if absent and install and packages.may_install():
        packages.install(absent)
    elif absent:
        raise packages.PackagesMissing(packages.remedy(absent))
    print(f"tools: all {len(packages.PACKAGES)} Debian packages are there")


def explain(error: build.BuildFailed) -> str:
    """Turn a failed build into what a person needs: the last lines, whose, and a remedy."""
    family, text = error.family, "\n".join(error.lines)
    found = [remedy for words, remedy in REMEDIES.items() if words in text]
    if build.is_network_trouble(error.lines):
        found.insert(0, "check the network and `go env GOPROXY GOSUMDB`, then run this again")
    remedy = [*found, f"look at tests/tools/{family.source.name}/go.mod, then run this again"][0]
    return f"{text}\ntools: {family.name} could not be built: {remedy}."


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools",
        description=EXPLAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("build", help="build what is not cached")
    one.add_argument("names", nargs="*", metavar="FAMILY|TOOL|GROUP", help="default: everything")
    commands.add_parser("status", help="what is built")
    commands.add_parser("path", help="print where a program is").add_argument("tool")
    commands.add_parser("env", help="print a line to eval that extends PATH")
    commands.add_parser("clean", help="remove entries that these pins do not name")
    commands.add_parser("digests", help="write the digests of what is built into digests.txt")
    one = commands.add_parser("put", help="put what is built into a registry")
    one.add_argument("repository", metavar="REGISTRY/NAME")
    one = commands.add_parser("packages", help="Debian packages that the loop needs")
    one.add_argument("--install", action="store_true", help="install those that are missing (root)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 (a build failed) or 2 (something is missing here)."""
    asked = parse(arguments)
    commands: dict[str, Callable[[], None]] = {
        "build": lambda: build_missing(asked.names),
        "status": status,
        "path": lambda: print(cache.tool(asked.tool)),
        "env": env,
        "clean": clean,
        "digests": digests,
        "put": lambda: put(asked.repository),
        "packages": lambda: debian_packages(install=asked.install),
    }
    try:
        commands[asked.command]()
    except build.BuildFailed as error:
        print(explain(error), file=sys.stderr)
        return 1
    except (
        build.NotReady,
        cache.GoMissing,
        cache.ToolMissing,
        prebuilt.NotPut,
        packages.PackagesMissing,
        Usage,
    ) as error:
        print(f"tools: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tools: stopped; what was finished is kept.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
