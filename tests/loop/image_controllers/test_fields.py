"""Which fields are honoured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.loop.image_controllers.fields import HONOURED, check, refusals
from tests.loop.image_controllers.model import Refused
from tests.tools import ToolMissing, share

ROOT = Path(__file__).parents[3]
REFUSED = {
    "ImageRepository": {
        "accessFrom", "certSecretRef", "proxySecretRef", "secretRef", "serviceAccountName",
    },
    "ImagePolicy": set(),
    "ImageUpdateAutomation": {
        "git.checkout.ref.commit", "git.checkout.ref.name", "git.checkout.ref.semver",
        "git.checkout.ref.tag", "git.commit.signingKey", "git.push.options", "git.push.refspec",
    },
    "GitRepository": {
        "proxySecretRef", "ref.commit", "ref.name", "ref.semver", "ref.tag", "secretRef",
        "serviceAccountName",
    },
}  # fmt: skip


def crd_paths(schema: dict[str, Any], tree: Any, prefix: str = "") -> Iterator[str]:
    """Name the fields of a CRD that our tree does not have, not looking below those."""
    for name, child in schema.get("properties", {}).items():
        if name not in tree:
            yield f"{prefix}{name}"
        elif tree[name] is not None:
            yield from crd_paths(child, tree[name], f"{prefix}{name}.")


@pytest.mark.parametrize("kind", HONOURED)
def test_every_field_of_flux_is_honoured_or_refused_knowingly(kind: str) -> None:
    """A new Flux with a new field fails here, so that somebody decides."""
    try:
        files = list(share("crds").glob("*.yaml"))
    except ToolMissing as error:
        pytest.skip(str(error))
    crds = [yaml.safe_load(file.read_text()) for file in files]
    crd = next(one for one in crds if one["spec"]["names"]["kind"] == kind)
    version = next(one for one in crd["spec"]["versions"] if one["name"] == "v1")
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert set(crd_paths(spec, HONOURED[kind])) == REFUSED[kind]


@pytest.mark.parametrize(
    "path", ["git.push.refspec", "git.commit.signingKey.secretRef.name", "made.up", "git.push.x"]
)
def test_a_refusal_names_the_path(path: str) -> None:
    spec: Any = "x"
    for name in reversed(path.split(".")):
        spec = {name: spec}

    found = refusals("ImageUpdateAutomation", spec)

    assert len(found) == 1
    assert path.startswith(found[0].split(" ")[0].removeprefix("spec."))
    with pytest.raises(Refused, match="not honoured"):
        check("ImageUpdateAutomation", spec)


def test_a_value_that_is_not_honoured_is_named_with_those_that_are() -> None:
    with pytest.raises(Refused, match=r"spec\.provider 'azure' is not honoured: only generic"):
        check("ImageRepository", {"provider": "azure"})


def test_all_refusals_come_together() -> None:
    found = refusals(
        "ImageRepository", {"secretRef": {"name": "x"}, "accessFrom": {}, "image": "x"}
    )

    assert [one.split(" ")[0] for one in found] == ["spec.accessFrom", "spec.secretRef"]


def test_this_repository_s_own_objects_are_honoured() -> None:
    for file in (ROOT / "clusters" / "production" / "images").glob("image-*.yaml"):
        obj = yaml.safe_load(file.read_text())
        spec = {**obj["spec"], **({"provider": "generic"} if "provider" in obj["spec"] else {})}

        assert refusals(obj["kind"], spec) == []
