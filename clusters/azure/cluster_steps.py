"""The way into the cluster, the namespace that says whose Flux it is, and Git's key."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.azure import deploy_keys, room
from clusters.azure.command import az, kubectl
from clusters.azure.github_record import claim, ownership
from clusters.azure.keys import KNOWN_HOSTS
from clusters.azure.kube import INSTANCE, KUSTOMIZATION, OPERATOR, an_object, applied, get
from clusters.azure.step import MARK, Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_KEY_TITLE = "$NAME: image automation"

# --- the way in ---


def _look_at_access(desk: Desk) -> Found:
    there = desk.dry or Path(desk.values["KUBECONFIG"]).exists()
    done = desk.try_(kubectl("get namespace kube-system --output name")) if there else None
    return Found(there=done is not None and done.code == 0, ours=there)


def _forget_access(desk: Desk) -> None:
    if not desk.dry:
        Path(desk.values["KUBECONFIG"]).unlink(missing_ok=True)


ACCESS = Step(
    name="access",
    about="a kubeconfig of its own, beside the record; yours is left alone",
    look=_look_at_access,
    make=(
        az(
            "aks get-credentials --name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP "
            "--file $KUBECONFIG --overwrite-existing"
        ),
    ),
    undo=_forget_access,
    own=lambda desk: Found(ours=Path(desk.values["KUBECONFIG"]).exists()),
)
ROOM = Step(
    name="room",
    about="whether the node has room for Flux and two bot pods, with 10% free",
    look=room.look,
    place="cluster",
)

# --- whose Flux it is ---

_MARK = f"configmap {MARK}"


def _look_at_mark(desk: Desk) -> Found:
    """One ConfigMap says whose Flux this is; it is made before everything and removed after it."""
    mark = get(desk, _MARK, namespace="kube-system")
    namespace = get(desk, "namespace flux-system", namespace="")
    ours = at(mark, "data.name") == desk.values["NAME"]
    # Without our mark, either is somebody else's.
    there = namespace is not None if ours else (mark or namespace) is not None
    return Found(there=there, ours=ours)


def _make_namespace(desk: Desk) -> None:
    mark = an_object("ConfigMap", MARK, data={"name": desk.values["NAME"]})
    mark["metadata"]["namespace"] = "kube-system"
    applied(desk, mark, f"the ConfigMap {MARK}, which says whose Flux this is")
    applied(desk, an_object("Namespace", "flux-system"), "the namespace flux-system")


def _remove_flux(desk: Desk) -> None:
    """Bot first, by pruning; then Flux, by its operator; then the operator, its mark last."""
    gone = "--ignore-not-found --wait --timeout 5m"
    # A kind that was never defined is an error, even with --ignore-not-found.
    if desk.dry or at(get(desk, KUSTOMIZATION), "items"):
        desk.run(kubectl(f"delete {KUSTOMIZATION} --all -n flux-system --wait --timeout 5m"))
    if desk.dry or get(desk, f"{INSTANCE} flux"):
        desk.run(kubectl(f"delete {INSTANCE} flux -n flux-system {gone}"))
    desk.run(kubectl(f"delete namespace discord-sky {gone}"))
    desk.run(kubectl(f"delete -f {OPERATOR} {gone}"))
    desk.run(kubectl(f"delete {_MARK} -n kube-system {gone}"))


NAMESPACE = Step(
    name="namespace",
    about="the namespace flux-system, marked as this set-up's",
    look=_look_at_mark,
    make=_make_namespace,
    undo=_remove_flux,
    place="cluster",
    flag="--cluster: this one has a Flux that is not this set-up's",
)

# --- Git's key ---


def _look_at_key(desk: Desk) -> Found:
    title = desk.filled(_KEY_TITLE)
    keys = deploy_keys.titled(desk, title)
    seen = get(desk, "secret flux-system")
    held = base64.b64decode((at(seen, "data") and seen["data"].get("identity.pub", "")) or "")
    same = [key for key in keys if key["key"].split()[:2] == held.decode().split()[:2]]
    return Found(there=bool(same) and not same[0]["read_only"], ours=bool(keys))


def _make_key(desk: Desk) -> None:
    claim(desk)
    pair = deploy_keys.exchange(desk, desk.filled(_KEY_TITLE))
    data = {
        "identity": pair.private,
        "identity.pub": pair.public + "\n",
        "known_hosts": KNOWN_HOSTS + "\n",
    }
    secret = an_object("Secret", "flux-system", stringData=data)
    applied(
        desk, secret, "the Secret flux-system with that key's private half, which is nowhere else"
    )


def _own_key(desk: Desk) -> Found:
    keys = deploy_keys.titled(desk, desk.filled(_KEY_TITLE))
    return Found(ours=bool(keys) and ownership(desk).mine)


def _remove_key(desk: Desk) -> None:
    deploy_keys.remove(desk, desk.filled(_KEY_TITLE))


KEY = Step(
    name="deploy key",
    about="a deploy key with write access, for Flux and its image automation",
    look=_look_at_key,
    make=_make_key,
    undo=_remove_key,
    own=_own_key,
    place="github",  # the Secret goes with its namespace
)
