"""The bot's settings and personas as the pod will see them, before its own `check-config`.

And before the NetworkPolicy: an address at a port that it drops looks good everywhere else.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bot.cli.check_config import outgoing
from bot.settings.loading import load
from tests.gitops.findings import Finding, KubeObject, Tree
from tests.gitops.render import Render

# The loop's network enforces no NetworkPolicy, and its stand-ins have ports of their own.
UNENFORCED = ("local",)
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
            if render.cluster not in UNENFORCED and not findings:
                findings.extend(_check_ports(render, data, variables))
    return findings


def _check_ports(render: Render, data: dict[str, str], variables: dict[str, str]) -> list[Finding]:
    """Compare the addresses in the settings with the ports that the NetworkPolicies let out."""
    policies = [item["spec"] for item in render.objects if item["kind"] == "NetworkPolicy"]
    rules = [rule for spec in policies for rule in spec.get("egress", [])]
    if not policies or any(not rule.get("ports") for rule in rules):
        return []
    ports = [port for rule in rules for port in rule["ports"] if port.get("protocol") == "TCP"]
    opened = [range(port["port"], port.get("endPort", port["port"]) + 1) for port in ports]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_text(data["config.toml"])
        settings = load(file, variables).settings
    return [
        Finding(
            render.where,
            f"{key} is at port {port}, and the NetworkPolicy drops what goes there",
            "Open the port under `egress:` of apps/discord-sky/network-policy.yaml, or by a patch "
            "of your cluster's kustomization-discord-sky.yaml.",
        )
        for key, port in outgoing(settings).items()
        if not any(port in each for each in opened)
    ]


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
    output = (done.stderr + done.stdout).replace(f"{folder}/", "").splitlines()
    remedy = "bot/README.md lists every key; `python -m bot check-config` says this as well."
    return [Finding(where, line.strip(), remedy) for line in output if line.strip()]
