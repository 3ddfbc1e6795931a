"""The table agrees with the go.mod files beside it."""

import re
from pathlib import Path

import pytest

from tests.loop.supervisor import preflight
from tests.tools.__main__ import choose
from tests.tools.families import FAMILIES, FLUX, GROUPS, HERE, Family

FOLDERS = sorted({family.source for family in FAMILIES})
EACH = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def tool_lines(folder: Path) -> set[str]:
    text = (folder / "go.mod").read_text()
    blocks = re.findall(r"^tool \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL)
    single = re.findall(r"^tool ([^(\s]+)$", text, re.MULTILINE)
    return {line.strip() for block in blocks for line in block.splitlines()} | set(single)


def named(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_program_is_a_tool_line_of_its_go_mod(folder: Path) -> None:
    families = [family for family in FAMILIES if family.source == folder]
    packages = {package for family in families for package in dict(family.tools).values()}

    assert tool_lines(folder) == packages - {"."}


@EACH
def test_every_module_of_the_table_is_pinned_with_its_checksum(family: Family) -> None:
    if not family.module:
        return
    line = f"{family.module} {family.version()} h1:"

    assert re.fullmatch(r"v\d+\.\d+\.\d+", family.version())
    assert line in (family.source / "go.sum").read_text()


def test_the_loops_group_has_every_program_that_the_loop_asks_for() -> None:
    asked = {family.name for name in preflight.TOOLS for family in choose([name])}

    assert asked <= set(GROUPS["loop"])
    assert {name for group in GROUPS.values() for name in group} <= {one.name for one in FAMILIES}


def test_no_program_is_made_twice() -> None:
    names = [name for family in FAMILIES for name, _ in family.tools]

    assert len(names) == len(set(names))


def test_every_folder_with_a_go_mod_is_in_the_table() -> None:
    assert sorted(path.parent for path in HERE.glob("*/go.mod")) == FOLDERS


def test_the_crds_are_those_of_the_pinned_flux() -> None:
    assert named("flux").version() == FLUX


def test_kubernetes_and_its_staging_modules_are_of_one_release() -> None:
    kubernetes = named("kubernetes")
    text = (kubernetes.source / "go.mod").read_text()
    staging = set(re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (v\S+)$", text, re.MULTILINE))

    assert staging == {kubernetes.version().replace("v1.", "v0.", 1)}
