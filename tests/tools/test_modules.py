"""Files taken from a module's archive, and its checksum."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.tools import modules
from tests.tools.families import Family, Share
from tests.tools.running import GoFailed, Runner

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    note: x
  name: things.example.com
spec:
  names:
    kind: Thing
"""
OTHER = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: thing\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("example.com/some/module@v1.2.3/crds/all.yaml", f"{OTHER}---\n{CRD}")
        content.writestr("example.com/some/module@v1.2.3/spec/a.json", "{}")
        content.writestr("example.com/some/module@v1.2.3/spec/v3/b@c.json", "[]")
    return path


def test_each_crd_becomes_a_file_and_the_rest_is_left_out(archive: Path, tmp_path: Path) -> None:
    modules.take(Share("crds", ("crds/*.yaml",), crds_only=True), archive, tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["things.example.com.yaml"]
    assert (tmp_path / "out" / "things.example.com.yaml").read_text() == CRD


def test_files_keep_their_place_below_the_named_folder(archive: Path, tmp_path: Path) -> None:
    modules.take(Share("openapi", ("spec/*.json",)), archive, tmp_path / "out")

    files = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.json")}
    assert files == {"a.json", "v3/b@c.json"}


def test_a_path_that_the_module_has_not_is_an_error(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(GoFailed) as failed:
        modules.take(Share("crds", ("gone/*.yaml",)), archive, tmp_path / "out")

    assert failed.value.lines == ["the module has no gone/*.yaml"]


def test_an_archive_cannot_write_outside(tmp_path: Path) -> None:
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("example.com/m@v1.0.0/../../escape", "x")

    with pytest.raises(GoFailed):
        modules.unpack(path, tmp_path / "out")


class Answering(Runner):
    """A go whose download gives one answer."""

    def __init__(self, answer: dict[str, str]) -> None:
        super().__init__()
        self.answer = json.dumps(answer)
        self.failed = "Error" in answer

    def go(self, *arguments: str, **_: object) -> str:
        """Pretend to download."""
        if self.failed:
            raise GoFailed(("go", *arguments), ["go: downloading"], self.answer)
        return self.answer


@pytest.fixture
def family(tmp_path: Path) -> Family:
    (tmp_path / "go.mod").write_text("module x\n\nrequire example.com/m v1.0.0\n")
    (tmp_path / "go.sum").write_text("example.com/m v1.0.0 h1:right=\n")
    return Family("m", module="example.com/m", folder=str(tmp_path))


def test_the_checksum_of_go_sum_is_demanded(family: Family) -> None:
    right = Answering({"Zip": "/m.zip", "Sum": "h1:right="})
    wrong = Answering({"Zip": "/m.zip", "Sum": "h1:wrong="})

    assert modules.archive(family, Path(), right) == Path("/m.zip")
    with pytest.raises(GoFailed) as failed:
        modules.archive(family, Path(), wrong)
    assert "checksum mismatch" in failed.value.lines[0]


def test_a_module_that_asks_for_a_newer_go_still_gives_its_files(family: Family) -> None:
    runner = Answering({"Zip": "/m.zip", "Sum": "h1:right=", "Error": "requires go >= 9"})

    assert modules.archive(family, Path(), runner) == Path("/m.zip")


def test_a_download_that_failed_says_why(family: Family) -> None:
    with pytest.raises(GoFailed) as failed:
        modules.archive(family, Path(), Answering({"Error": "dial tcp: no route"}))

    assert failed.value.lines == ["dial tcp: no route"]
    assert modules.is_network_trouble(failed.value.lines)
