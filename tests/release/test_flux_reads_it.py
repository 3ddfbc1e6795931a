"""What the guard writes goes through Flux: substitution, YAML, and Go's regular expressions."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from release.manifests import DEFAULT, IMAGE_REPOSITORY, with_excluded
from release.tag_ranges import Span, expression
from release.tags import LARGEST

from tests.tools import ToolMissing, tool

ROOT = Path(__file__).parents[2]
SPANS = [Span(3, 3), Span(17, 1234), Span(5000, LARGEST)]


def test_substitution_leaves_the_expression_as_it_is() -> None:
    """It ends in a dollar sign, and `postBuild` substitutes what begins with one."""
    try:
        flux = tool("flux")
    except ToolMissing:
        pytest.skip("`make test-release` builds no flux; `make test` does")
    wanted = expression(SPANS)
    assert wanted is not None
    text = with_excluded((ROOT / IMAGE_REPOSITORY).read_text(), wanted)

    done = subprocess.run(
        [flux, "envsubst", "--strict"],
        input=text,
        env={"PATH": os.environ["PATH"], "ACR_LOGIN_SERVER": "registry.example"},
        check=True,
        capture_output=True,
        text=True,
    )

    spec = yaml.safe_load(done.stdout)["spec"]
    assert spec["image"] == "registry.example/discordskybot"
    assert spec["exclusionList"][0] == DEFAULT
    assert spec["exclusionList"][-1] == wanted


def test_it_is_in_gos_language() -> None:
    """The expression means the same to Go's regexp package, which Flux uses, as to the guard."""
    text = expression(SPANS)
    assert text is not None
    numbers = (2, 3, 4, 16, 17, 18, 999, 1234, 1235, 4999, 5000, LARGEST)
    tags = {number: f"main-{number}-0a1b2c3" for number in numbers}

    done = subprocess.run(
        [tool("goregex"), text],
        input="\n".join([*tags.values(), "main-17-0a1b2c3-rc1", "x-main-17-0a1b2c3"]),
        check=True,
        capture_output=True,
        text=True,
    )

    within = [
        tag for number, tag in tags.items() if any(s.first <= number <= s.last for s in SPANS)
    ]
    assert done.stdout.split() == within
    assert max(map(int, re.findall(r"{(\d+)}", text))) < 1000
