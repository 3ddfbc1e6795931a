"""Every `az` line that set-up, teardown and the README print is valid for the real Azure CLI."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.azure.azure_cli import ParserResult, environment, installed, run_azure_cli
from tests.azure.conftest import Scenario
from tests.azure.fake.cloud import State

PACKAGE = Path(__file__).parents[2] / "clusters" / "azure"
_ADVICE = re.compile(r"(?<![\w-])az ([a-z][^\n]*?)(?:, then |\.? *$|\.\n)", re.MULTILINE)
Line = tuple[str, ...]


def _only(state: State, kind: str) -> State:
    (found,) = [one for one in state["azure"]["resources"].values() if one["type"].endswith(kind)]
    assert isinstance(found, dict)
    return found


def _new(folder: Path, number: int) -> Scenario:
    here = folder / str(number)
    here.mkdir()
    return Scenario(here)


def all_branches(folder: Path) -> list[Scenario]:
    """Run set-up and teardown so that every `az` line is run or printed once."""
    whole, again, shared, robot, broken, tight, abac = (_new(folder, number) for number in range(7))
    limits = ("--authorized-ranges", "20.1.2.3")
    assert [whole.run("up"), whole.run("up", *limits)] == [0, 0]
    _only(whole.cloud.state, "managedClusters")["autoUpgradeProfile"]["upgradeChannel"] = None
    assert whole.run("up", "--maintenance-window", "Monday 23:00 -05:00") == 0
    assert [whole.run("teardown"), whole.run("up", *limits)] == [0, 0]
    # The vault comes back from the dead; Azure is still at work on the cluster.
    assert again.run("up") == 0
    _only(again.cloud.state, "managedClusters")["provisioningState"] = "Creating"
    assert [again.run(action) for action in ("up", "teardown", "up")] == [0, 0, 0]
    # Somebody else's cluster and registry, found by name.
    shared.make_existing(["cluster", "registry"])
    names = ("--cluster", "theirs", "--registry", "theirs123")
    assert [shared.run(action, *names) for action in ("up", "teardown")] == [0, 0]
    robot.cloud.state["azure"]["user"] = {"name": "00000000-1111", "type": "servicePrincipal"}
    assert robot.run("up") == 0
    _break(broken)
    _refuse_abac(abac)
    _fill(tight)
    return [whole, again, shared, robot, broken, tight, abac]


def _break(scenario: Scenario) -> None:
    """Take away what a cluster and a vault have to have; the advice is what is wanted."""
    assert scenario.run("up") == 0
    cluster = _only(scenario.cloud.state, "managedClusters")
    cluster["oidcIssuerProfile"]["enabled"] = False
    cluster["securityProfile"]["workloadIdentity"]["enabled"] = False
    cluster["networkProfile"]["networkPolicy"] = "none"
    cluster["addonProfiles"]["azureKeyvaultSecretsProvider"]["config"] = {}
    cluster["powerState"]["code"] = "Stopped"
    cluster["provisioningState"] = "Failed"
    cluster["currentKubernetesVersion"] = "1.29.4"
    assert scenario.run("up") == 1
    cluster["addonProfiles"] = {}
    assert scenario.run("up") == 1
    scenario.cloud.state["azure"]["resources"].pop(cluster["id"])
    _only(scenario.cloud.state, "vaults")["properties"]["enableRbacAuthorization"] = False
    assert scenario.run("up") == 1


def _refuse_abac(scenario: Scenario) -> None:
    assert scenario.run("up") == 0
    _only(scenario.cloud.state, "registries")["roleAssignmentMode"] = "AbacRepositoryPermissions"
    assert scenario.run("up") == 1


def _fill(scenario: Scenario) -> None:
    scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["clusters"].values()
    cluster["taken"] = {"cpu": "1700m", "memory": "1400Mi"}
    assert scenario.run("up", "--cluster", "theirs") == 1
    cluster["node"] = {"taint": "NoSchedule"}
    assert scenario.run("up", "--cluster", "theirs") == 1


def run_lines(stages: list[Scenario]) -> set[Line]:
    """Each `az` line that was run."""
    return {
        call.argv[1:]
        for scenario in stages
        for call in scenario.cloud.calls
        if call.argv[0] == "az"
    }


def advised_lines(stages: list[Scenario]) -> set[Line]:
    """Return each `az` line in an error or a remedy."""
    said = "\n".join(
        text for scenario in stages for text in scenario.said if not text.startswith("  az")
    )
    return {tuple(shlex.split(found)) for found in _ADVICE.findall(said)}


def _text(node: ast.expr) -> str:
    """Read a literal; what is filled into it becomes a gap."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(one.value) if isinstance(one, ast.Constant) else " \0 " for one in parts)


def written_lines() -> dict[str, set[str]]:
    """Each `az("…")` in the package: its words, and the options that are written in its text."""
    lines: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "az"):
                continue
            text = _text(node.args[0])
            words = re.split(r" -|\0", text)[0].strip()
            lines.setdefault(words, set()).update(re.findall(r"(?<= )--[a-z-]+", " " + text))
    return lines


# The Azure CLI is installed within it the first time: 400 MB.
pytestmark = pytest.mark.timeout(1500)
REPOSITORY_ROOT = Path(__file__).parents[2]


@dataclass
class Checked:
    """What all branches ran and advised, and what the real `az` said about it."""

    run: set[Line]
    advised: set[Line]
    results: dict[Line, ParserResult]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Run everything, and check it with the real program in one go."""
    stages = all_branches(tmp_path_factory.mktemp("branches"))
    run, advised = run_lines(stages), advised_lines(stages)
    every = sorted(run | advised | _dry_lines(tmp_path_factory.mktemp("dry")) | _documented_lines())
    results = run_azure_cli(every, tmp_path_factory.mktemp("home"))
    return Checked(run, advised, {result.argv: result for result in results})


def _dry_lines(folder: Path) -> set[Line]:
    """Return what --dry-run prints, with placeholders for unknown values."""
    scenario = Scenario(folder)
    assert [scenario.run(action, "--dry-run") for action in ("up", "teardown")] == [0, 0]
    assert scenario.cloud.calls == []
    found = re.findall(r"^  (?:# query:  )?az (.*)$", scenario.text, re.MULTILINE)
    return {tuple(shlex.split(line)) for line in found}


def _documented_lines() -> set[Line]:
    """Return the `az` lines in clusters/azure/README.md."""
    text = (REPOSITORY_ROOT / "clusters/azure/README.md").read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("az ")]
    return {tuple(shlex.split(line, comments=True)[1:]) for line in lines}


def test_the_real_parser_understands_every_line(checked: Checked) -> None:
    refused = [result for result in checked.results.values() if not result.understood]

    assert [(shlex.join(one.argv), one.said) for one in refused] == []


def test_with_real_values_nothing_but_the_network_is_missing(checked: Checked) -> None:
    """Validators and the commands' own code take values and combinations of options, too."""
    unsound = [checked.results[line] for line in checked.run if not checked.results[line].sound]

    assert [(shlex.join(one.argv), one.said) for one in unsound] == []


def test_every_line_of_the_source_was_among_them(checked: Checked) -> None:
    """No `az(…)` is left out: each one's words and options were run in some branch."""
    seen: dict[str, set[str]] = {}
    for line in checked.run:
        words = " ".join(line).split(" -")[0]
        seen.setdefault(words, set()).update(word for word in line if word.startswith("--"))

    missing = {
        words: options - seen.get(words, set())
        for words, options in written_lines().items()
        if words not in seen or options - seen[words]
    }

    assert missing == {}


def test_remedies_for_existing_resources_are_among_them(checked: Checked) -> None:
    """The remedies for existing resources are command lines too."""
    words = {" ".join(line).split(" -")[0] for line in checked.advised}

    assert words >= {
        "acr update",
        "aks enable-addons",
        "aks nodepool add",
        "aks nodepool scale",
        "aks start",
        "aks update",
        "aks upgrade",
        "keyvault update",
    }


def test_the_worker_distinguishes_good_lines_from_bad_ones(tmp_path: Path) -> None:
    """In one process, one after the other, as a terminal would."""
    good: Line = ("acr", "show", "--name", "example", "--output", "json")
    # Only the command's own code knows that these two options do not go together.
    late: Line = ("resource", "list", "--tag", "a=b", "--resource-type", "Microsoft.Maps/accounts")
    lines: list[Line] = [good, ("acr", "show", "--nme", "example"), ("acr", "show"), late, good]

    results = run_azure_cli(lines, tmp_path)

    assert [result.understood for result in results] == [True, False, False, True, True]
    assert [result.sound for result in results] == [True, False, False, False, True]


@pytest.mark.parametrize(("option", "code"), [("--name", 1), ("--nme", 2)])
def test_the_worker_reports_what_the_program_reports(
    option: str, code: int, tmp_path: Path
) -> None:
    """The same from a process of its own, as a person starts it."""
    line: Line = ("acr", "show", option, "example", "--output", "json")
    command = [str(installed()), "-m", "azure.cli", *line]

    done = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, check=False
    )

    (result,) = run_azure_cli([line], tmp_path)
    assert done.returncode == result.code == code
    assert done.stderr.splitlines()[0] == result.said.splitlines()[0]
