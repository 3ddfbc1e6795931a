"""How one family is built: a copy of its folder, `go build`, shared files, one rename."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.tools import cache, golang, modules
from tests.tools.families import Family
from tests.tools.running import GoFailed, Runner

DOWNLOAD_ATTEMPTS = 3

Report = Callable[[str], None]


def build(family: Family, toolchain: golang.Toolchain, runner: Runner, report: Report) -> None:
    """Build FAMILY into the cache; nothing is visible there before all of it is done.

    `report` gets a phrase for what is being done now. Raises GoFailed, OSError.
    """
    target = cache.entry(family, toolchain)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{cache.TEMPORARY}{family.name}-"
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        work, made = temporary / "work", temporary / "made"
        # A copy, because go writes beside a go.mod and a checkout may be read-only.
        shutil.copytree(family.source, work)
        made.mkdir()
        if family.additions:
            report("unpacking")
            _add_files(family, work, runner)
        if family.tools:
            _compile(family, work, made / "bin", runner, report)
        for share in family.shares:
            report("downloading")
            archive = modules.archive(family, work, runner)
            modules.take(share, archive, made / "share" / share.name)
        made.chmod(0o755)
        made.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add_files(family: Family, work: Path, runner: Runner) -> None:
    """Let the build use a copy of the module that has the additional files.

    The module cache is read-only and go refuses an overlay there; a `replace` by a copy is what
    is left. The copy comes from the archive, whose checksum is that of go.sum.
    """
    copy = work / "module"
    modules.unpack(modules.archive(family, work, runner), copy)
    for name, content in family.additions:
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    runner.go("mod", "edit", f"-replace={family.module}=./module", folder=work)


def _compile(family: Family, work: Path, target: Path, runner: Runner, report: Report) -> None:
    programs = dict(family.tools)
    total = len(_packages(list(programs.values()), work, runner, report))
    compiled = 0

    def on_line(line: str) -> bool:
        nonlocal compiled
        # `go build -v` names each package it compiles; what it has to say else has spaces.
        if not line or " " in line or line.startswith(("#", "\t")):
            return False
        compiled += 1
        report(f"compiled {compiled} of up to {total} packages")
        return True

    report(f"compiled 0 of up to {total} packages")
    target.mkdir()
    flags = [*golang.FLAGS, f"-ldflags={golang.LINK} {_ldflags(family)}".rstrip()]
    # One go command for all programs of a family: it links one while it compiles the next. With
    # one program `-o` is its name (etcd's package is called server), with more it is their folder.
    output = str(target) if len(programs) > 1 else str(target / next(iter(programs)))
    runner.go("build", "-v", *flags, "-o", output, *programs.values(), folder=work, on_line=on_line)
    if missing := [name for name in programs if not (target / name).is_file()]:
        raise GoFailed(("go", "build"), [f"no program came out under the name {missing[0]}"])


def _packages(roots: list[str], work: Path, runner: Runner, report: Report) -> list[str]:
    """List what has to be compiled; this is also what downloads the modules, so it is retried."""
    downloads = 0

    def on_line(line: str) -> bool:
        nonlocal downloads
        if not line.startswith("go: downloading "):
            return False
        downloads += 1
        report(f"downloaded {downloads} modules")
        return True

    report("looking for modules")
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            return runner.go("list", "-deps", *roots, folder=work, on_line=on_line).split()
        except GoFailed as error:
            if attempt == DOWNLOAD_ATTEMPTS or not modules.is_network_trouble(error.lines):
                raise
            report(f"download failed, attempt {attempt + 1} of {DOWNLOAD_ATTEMPTS}")
    raise AssertionError


def _ldflags(family: Family) -> str:
    version = family.version()
    number = version.removeprefix("v")
    major, minor = (*number.split("."), "", "")[:2]
    return family.ldflags.format(version=version, number=number, major=major, minor=minor)
