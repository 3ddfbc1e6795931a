"""Rendered objects before a real API server: server-side apply, as a dry run.

Only what the others need to exist is created for real: namespaces and ServiceAccounts. A
Deployment's pods are asked for as well, because Pod Security refuses pods: a Deployment of refused
pods is accepted. (The admission policy on images is tried in test_admission.py.)
"""

from collections.abc import Sequence

from tests.gitops.apiserver import ApiServer
from tests.gitops.findings import Finding, KubeObject

PREREQUISITES = ("Namespace", "ServiceAccount")


def pod_of(workload: KubeObject) -> KubeObject:
    """Return the pod that WORKLOAD's controller would create."""
    template, metadata = workload["spec"]["template"], workload["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template.get("metadata", {}),
            "name": f"{metadata['name']}-pod",
            "namespace": metadata["namespace"],
        },
        "spec": template["spec"],
    }


def admit(server: ApiServer, where: str, objects: Sequence[KubeObject]) -> list[Finding]:
    """Apply OBJECTS and their pods as a dry run; one finding for each refusal and warning."""
    prerequisites = [item for item in objects if item["kind"] in PREREQUISITES]
    if findings := _apply(server, where, prerequisites, dry_run=False):
        return findings
    pods = [pod_of(item) for item in objects if item["kind"] == "Deployment"]
    return _apply(server, where, [*objects, *pods], dry_run=True)


def _apply(
    server: ApiServer, where: str, objects: Sequence[KubeObject], *, dry_run: bool
) -> list[Finding]:
    if not objects:
        return []
    done = server.apply(objects, dry_run=dry_run)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode and not lines:
        lines = [f"kubectl ended with {done.returncode}"]
    remedy = (
        "The API server will refuse it in the same way when Flux applies it: correct the manifest."
    )
    return [Finding(where, line, remedy) for line in lines]
