"""Every branch of set-up and teardown, run in scripted worlds, for the command lines they print."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

from tests.azure.conftest import Stage
from tests.azure.world import State

PACKAGE = Path(__file__).parents[2] / "clusters" / "azure"
_ADVICE = re.compile(r"(?<![\w-])az ([a-z][^\n]*?)(?:, then |\.? *$|\.\n)", re.MULTILINE)
Line = tuple[str, ...]


def _only(state: State, kind: str) -> State:
    (found,) = [one for one in state["azure"]["resources"].values() if one["type"].endswith(kind)]
    assert isinstance(found, dict)
    return found


def _new(folder: Path, number: int) -> Stage:
    here = folder / str(number)
    here.mkdir()
    return Stage(here)


def all_branches(folder: Path) -> list[Stage]:
    """Run them; what each ran and said is in its stage."""
    whole, again, shared, robot, broken, tight, abac = (_new(folder, number) for number in range(7))
    assert [whole.run(action) for action in ("up", "up", "teardown")] == [0, 0, 0]
    # The vault comes back from the dead; Azure is still at work on the cluster.
    assert again.run("up") == 0
    _only(again.world.state, "managedClusters")["provisioningState"] = "Creating"
    assert [again.run(action) for action in ("up", "teardown", "up")] == [0, 0, 0]
    # Somebody else's cluster and registry, found by name.
    shared.others_have(["cluster", "registry"])
    names = ("--cluster", "theirs", "--registry", "theirs123")
    assert [shared.run(action, *names) for action in ("up", "teardown")] == [0, 0]
    robot.world.state["azure"]["user"] = {"name": "00000000-1111", "type": "servicePrincipal"}
    assert robot.run("up") == 0
    _break(broken)
    _refuse_abac(abac)
    _fill(tight)
    return [whole, again, shared, robot, broken, tight, abac]


def _break(stage: Stage) -> None:
    """Take away what a cluster and a vault have to have; the advice is what is wanted."""
    assert stage.run("up") == 0
    cluster = _only(stage.world.state, "managedClusters")
    cluster["oidcIssuerProfile"]["enabled"] = False
    cluster["securityProfile"]["workloadIdentity"]["enabled"] = False
    cluster["networkProfile"]["networkPolicy"] = "none"
    cluster["addonProfiles"]["azureKeyvaultSecretsProvider"]["config"] = {}
    cluster["powerState"]["code"] = "Stopped"
    cluster["provisioningState"] = "Failed"
    cluster["currentKubernetesVersion"] = "1.29.4"
    assert stage.run("up") == 1
    cluster["addonProfiles"] = {}
    assert stage.run("up") == 1
    stage.world.state["azure"]["resources"].pop(cluster["id"])
    _only(stage.world.state, "vaults")["properties"]["enableRbacAuthorization"] = False
    assert stage.run("up") == 1


def _refuse_abac(stage: Stage) -> None:
    assert stage.run("up") == 0
    _only(stage.world.state, "registries")["roleAssignmentMode"] = "AbacRepositoryPermissions"
    assert stage.run("up") == 1


def _fill(stage: Stage) -> None:
    stage.others_have(["cluster"])
    (cluster,) = stage.world.state["clusters"].values()
    cluster["taken"] = {"cpu": "1700m", "memory": "1400Mi"}
    assert stage.run("up", "--cluster", "theirs") == 1
    cluster["node"] = {"taint": "NoSchedule"}
    assert stage.run("up", "--cluster", "theirs") == 1


def run_lines(stages: list[Stage]) -> set[Line]:
    """Each `az` line that was run."""
    return {call.argv[1:] for stage in stages for call in stage.world.calls if call.argv[0] == "az"}


def advised_lines(stages: list[Stage]) -> set[Line]:
    """Each `az` line that a person is told to run, in errors and remedies."""
    said = "\n".join(text for stage in stages for text in stage.said if not text.startswith("  az"))
    return {tuple(shlex.split(found)) for found in _ADVICE.findall(said)}


def _text(node: ast.expr) -> str:
    """Read a literal; what is filled into it becomes a gap."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(one.value) if isinstance(one, ast.Constant) else " \0 " for one in parts)


def written_lines() -> dict[str, set[str]]:
    """Each `az("…")` in the package: its words, and the options that are written in its text."""
    lines: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "az"):
                continue
            text = _text(node.args[0])
            words = re.split(r" -|\0", text)[0].strip()
            lines.setdefault(words, set()).update(re.findall(r"(?<= )--[a-z-]+", " " + text))
    return lines
