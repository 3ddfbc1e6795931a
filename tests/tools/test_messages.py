"""What a person reads: each trouble is one sentence with its remedy and an exit code."""

from pathlib import Path

import pytest

from tests.tools import PackagesMissing, build, cache, packages, require_packages
from tests.tools.__main__ import explain, main
from tests.tools.families import FAMILIES, Family

CRANE = next(family for family in FAMILIES if family.name == "crane")


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKY_CACHE", str(tmp_path / "cache"))
    cache.toolchain.cache_clear()


def fake_go(folder: Path, version: str) -> str:
    """Write a `go` that says it is VERSION; return the folder for PATH."""
    program = folder / "go"
    answers = rf"{version}\nlinux\namd64\n{folder}/build\n{folder}/mod\n"
    program.write_text(f"#!/bin/sh\nprintf '{answers}'\n")
    program.chmod(0o755)
    return str(folder)


def test_no_go_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert main(["build"]) == 2
    assert "Go is not on PATH: install Go 1.26" in capsys.readouterr().err


def test_an_old_go_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", fake_go(tmp_path, "go1.19.8"))

    assert main(["build"]) == 2
    assert "Go 1.19.8 is too old: install Go 1.26" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_versions_compare_by_number() -> None:
    assert cache.numbers("go1.9") < cache.numbers("go1.26.0") < cache.numbers("go1.26.8 X:y")
    assert cache.numbers("go1.27rc1") >= cache.numbers("1.26.0")


def test_a_misspelt_tool_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "kubctl"]) == 2
    assert "no tool or family 'kubctl': did you mean kubectl?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("dial tcp: lookup proxy: no such host", "check the network"),
        ("write x: no space left on device", "free some disk space"),
        ("compile: signal: killed", "ran out of memory"),
        ("verifying module: checksum mismatch", "find out why before you go on"),
        ("main.go:1: syntax error", "look at tests/tools/crane/go.mod"),
    ],
)
def test_a_failed_build_shows_its_lines_its_family_and_a_remedy(line: str, remedy: str) -> None:
    said = explain(build.BuildFailed(CRANE, ["first", line]))

    assert said.startswith(f"first\n{line}\ntools: crane could not be built: ")
    assert remedy in said


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "is_there", lambda proof: proof != "nft")
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/apt-get")

    require_packages("git")
    with pytest.raises(PackagesMissing, match=r"nftables \(.*apt-get install .* nftables`"):
        require_packages()


def test_an_unknown_package_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="not in the table of packages: dokcer"):
        require_packages("dokcer")


def test_packages_are_not_installed_by_others_than_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "is_there", lambda proof: proof != "nft")
    monkeypatch.setattr(packages, "may_install", lambda: False)

    assert main(["packages", "--install"]) == 2
    assert "missing: nftables" in capsys.readouterr().err


def test_services_are_forbidden_only_while_installing(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"

    with packages.no_services(policy):
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & 0o111

    assert not policy.exists()


def test_somebody_elses_service_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")

    with packages.no_services(policy):
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"

    assert policy.exists()


def test_families_can_be_chosen_by_what_they_provide(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted: list[list[Family]] = []

    def nothing_is_missing(families: list[Family], _: cache.Toolchain) -> list[Family]:
        wanted.append(families)
        return []

    monkeypatch.setattr(build, "missing", nothing_is_missing)

    assert main(["build", "kubectl", "crds"]) == 0

    assert [family.name for family in wanted[0]] == ["kubernetes", "crds"]
    assert "all 2 families are cached" in capsys.readouterr().out
