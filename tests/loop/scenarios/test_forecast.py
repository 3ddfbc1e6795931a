"""What `make demo` says of its length before it begins."""

from pathlib import Path

import pytest

from tests.loop.scenarios.forecast import Part, parts, sentences
from tests.tools import packages
from tests.tools.families import FAMILIES, GROUPS

_DEMO = Part(60, "start the cluster")


def test_a_machine_that_has_everything_waits_for_the_demo_alone() -> None:
    assert sentences([_DEMO]) == ["make demo: about 60 s: everything it needs is in the cache"]


def test_a_new_machine_is_told_each_part_once() -> None:
    said = sentences([Part(20, "install packages"), Part(940, "build kubernetes"), _DEMO])

    assert said == [
        "make demo: about 17 min on two quiet cores; about 60 s next time",
        "    20 s  install packages (once)",
        "  16 min  build kubernetes (once)",
        "    60 s  start the cluster",
    ]


def test_an_empty_cache_means_all_tools_of_the_loop_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKY_CACHE", str(tmp_path))
    monkeypatch.delenv("TOOLS_CACHE", raising=False)
    monkeypatch.setattr(packages, "missing", list)

    tools, *rest = parts()

    assert set(tools.what.removeprefix("build from source ").split(", ")) == set(GROUPS["loop"])
    assert tools.seconds == sum(one.seconds for one in FAMILIES if one.name in GROUPS["loop"])
    assert [part.seconds for part in rest] == [20, 60, 60]


def test_a_registry_that_has_the_tools_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKY_CACHE", str(tmp_path))
    monkeypatch.setenv("TOOLS_CACHE", "registry.example/tools")
    monkeypatch.setattr(packages, "missing", list)

    assert "or take from registry.example/tools, kubernetes" in parts()[0].what
