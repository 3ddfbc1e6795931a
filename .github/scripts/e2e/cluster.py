"""Upstream Flux in the kind cluster, with the objects that the set-up makes."""

import json
from typing import Any

from e2e.servers import (
    DISCORD_PORT,
    GIT_URL,
    HOST,
    KEY_FILE,
    OPENAI_PORT,
    REGISTRY,
    ROOT,
    TOKEN_FILE,
)
from e2e.shell import kubectl, run, say, wait

FLUX, BOT = "flux-system", "discord-sky"
CONTROLLERS = (
    "source-controller",
    "kustomize-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
)
SETTINGS = {
    "ACR_LOGIN_SERVER": REGISTRY,
    "KEYVAULT_NAME": "e2e-vault",
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001",
    "BOT_CLIENT_ID": "00000000-0000-0000-0000-000000000002",
    "IMAGE_REFLECTOR_CLIENT_ID": "00000000-0000-0000-0000-000000000003",
}


def prepare() -> None:
    """Install Flux and the settings; return when Flux has applied this repository."""
    allow_plain_http()
    say("installing Flux")
    run("flux", "install", f"--components={','.join(CONTROLLERS[:3])}",
        f"--components-extra={','.join(CONTROLLERS[3:])}")  # fmt: skip
    # As in clusters/production/flux-instance.yaml: a rollback does not wait out a failing version.
    gate = "--feature-gates=CancelHealthCheckOnNewRevision=true"
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": gate}]
    kubectl("-n", FLUX, "patch", "deployment/kustomize-controller", "--type=json",
            f"--patch={json.dumps(patch)}")  # fmt: skip
    for name in CONTROLLERS:
        kubectl("-n", FLUX, "rollout", "status", f"deployment/{name}", "--timeout=180s")
    kubectl("apply", "-f", str(ROOT / "apps/discord-sky/namespace.yaml"))
    for document in objects():
        kubectl("apply", "-f", "-", stdin=json.dumps(document))
    wait(FLUX, "kustomization/flux-system", "condition=Ready")
    wait(FLUX, "kustomization/discord-sky-images", "condition=Ready")


def allow_plain_http() -> None:
    """Let each node's containerd pull from the registry without TLS."""
    hosts = f'server = "http://{REGISTRY}"\n[host."http://{REGISTRY}"]\n'
    folder = f"/etc/containerd/certs.d/{REGISTRY}"
    for node in run("kind", "get", "nodes", "--name", "sky").split():
        run("docker", "exec", node, "mkdir", "-p", folder)
        run("docker", "exec", "-i", node, "cp", "/dev/stdin", f"{folder}/hosts.toml", stdin=hosts)


def objects() -> list[dict[str, Any]]:
    """The ConfigMap, the Secret, Flux's two root objects, and egress to the test servers."""
    secret = {"discord-token": TOKEN_FILE.read_text(), "openai-api-key": KEY_FILE.read_text()}
    source = {"kind": "GitRepository", "name": "flux-system"}
    # The bot's own NetworkPolicy allows HTTPS only, and kind enforces it; policies add up.
    ports = [{"protocol": "TCP", "port": port} for port in (DISCORD_PORT, OPENAI_PORT)]
    egress = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {"to": [{"ipBlock": {"cidr": f"{HOST}/32"}}], "ports": ports},
            {"ports": [{"protocol": "TCP", "port": 6443}]},  # kind's API server; AKS's is at 443
        ],
    }
    return [
        _object("v1", "ConfigMap", FLUX, "cluster-settings", data=SETTINGS),
        _object("v1", "Secret", BOT, "discord-sky-secrets", stringData=secret),
        _object("networking.k8s.io/v1", "NetworkPolicy", BOT, "e2e-test-servers", spec=egress),
        _object(
            "source.toolkit.fluxcd.io/v1", "GitRepository", FLUX, "flux-system",
            spec={"interval": "2s", "url": GIT_URL, "ref": {"branch": "main"}},
        ),
        _object(
            "kustomize.toolkit.fluxcd.io/v1", "Kustomization", FLUX, "flux-system",
            spec={
                "interval": "1m",
                "path": "./clusters/local",
                "prune": True,
                "sourceRef": source,
                # There is no Key Vault here: the credentials come from the Secret above.
                "patches": [
                    {
                        "target": {"kind": "Kustomization", "name": "discord-sky"},
                        "patch": json.dumps(
                            [{"op": "add", "path": "/spec/components", "value": ["plain-secret"]}]
                        ),
                    }
                ],
            },
        ),
    ]  # fmt: skip


def _object(version: str, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **rest}
