"""Building and deploying by hand, as clusters/azure/README.md says it, with `az` replaced."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from release.git import Git
from release.inputs import input_hash, source_tag
from release.tags import Tag

from tests.release.origin import ROOT, Origin

README = ROOT / "clusters/azure/README.md"
# Keeps what it was asked, and the folder that `az acr build` would upload.
AZ = """\
#!/bin/sh
echo "$*" >> "$0.log"
case "$*" in "acr build "*) for last; do :; done; cp -a "$last" "$0.context" ;; esac
"""


@pytest.fixture
def blocks() -> list[str]:
    """The commands of the section, a block each."""
    section = README.read_text().split("## Build and deploy by hand")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def test_what_is_built_is_what_is_committed_and_nothing_else(
    tmp_path: Path, blocks: list[str]
) -> None:
    origin = Origin.new(tmp_path)
    origin.merge("Greet people")
    clone = origin.ada.path
    shutil.copytree(ROOT / ".github/scripts/release", clone / ".github/scripts/release")
    origin.ada.write({"bot/.env": "secret\n", "bot/cli/main.py": "edited, not committed\n"})
    az = tmp_path / "bin/az"
    az.parent.mkdir()
    az.write_text(AZ)
    az.chmod(0o755)
    look, build, *_ = blocks

    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", look + build],
        cwd=clone,
        env={
            **os.environ,
            "PATH": f"{az.parent}:{os.environ['PATH']}",
            "ACR_NAME": "example",
            "TMPDIR": str(tmp_path),
        },
        check=True,
    )

    context = az.with_name("az.context")
    assert (context / "bot/cli/main.py").read_text() == "# Greet people\n"
    assert not (context / "bot/.env").exists()
    git = Git(clone)
    commit = git.commit("HEAD")
    (asked,) = [line for line in az.with_name("az.log").read_text().splitlines() if "build" in line]
    assert f"--image discordskybot:{source_tag(input_hash(git, commit))}" in asked
    assert f"--image discordskybot:{Tag.of(git, commit)}" in asked
    assert f"--build-arg REVISION={commit}" in asked
    assert not Path(asked.split()[-1]).exists()
