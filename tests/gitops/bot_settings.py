"""The bot's settings and personas as the pod will see them, before its own `check-config`."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.gitops.findings import Finding, KubeObject, Tree
from tests.gitops.render import Render

CONFIG = "discord-sky-config"
PERSONAS = "discord-sky-personas"


def check_settings(tree: Tree, renders: Iterable[Render]) -> list[Finding]:
    """Hand the rendered files, and the Deployment's variables, to `python -m bot check-config`."""
    findings = []
    for render in renders:
        variables: dict[str, str] = {}
        for item in render.objects:
            if item["kind"] == "Deployment":
                variables |= _variables(item)
        personas = [each for data in _maps(render, PERSONAS) for each in data.items()]
        for data in _maps(render, CONFIG):
            findings.extend(_check(tree, render.where, data, dict(personas), variables))
    return findings


def _maps(render: Render, name: str) -> list[dict[str, str]]:
    """Return the data of the ConfigMaps that were generated under a name."""
    return [
        item.get("data", {})
        for item in render.objects
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith(name)
    ]


def _variables(deployment: KubeObject) -> dict[str, str]:
    """Return the bot's own variables, which win over the file; secrets are never among them."""
    return {
        entry["name"]: entry["value"]
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for entry in container.get("env", [])
        if entry["name"].startswith("SKY_") and "value" in entry
    }


def _check(
    tree: Tree,
    where: str,
    data: dict[str, str],
    personas: dict[str, str],
    variables: dict[str, str],
) -> list[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_text(data["config.toml"])
        for name, text in personas.items():
            (Path(folder) / "personas").mkdir(exist_ok=True)
            (Path(folder) / "personas" / name).write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "bot", "check-config", str(file)],
            cwd=tree.root,
            env={"PYTHONDONTWRITEBYTECODE": "1", **variables},
            check=False,
            capture_output=True,
            text=True,
        )
    if not done.returncode:
        return []
    said = (done.stderr + done.stdout).replace(f"{folder}/", "").splitlines()
    remedy = "bot/README.md lists every key; `python -m bot check-config` says this as well."
    return [Finding(where, line.strip(), remedy) for line in said if line.strip()]
