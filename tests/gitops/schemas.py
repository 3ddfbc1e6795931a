"""JSON schemas for kubeconform, made from the pinned modules: nothing is fetched.

Kubernetes' own kinds come from its OpenAPI document, the others from their CRDs. An unknown field
is an error at every depth, except where the API itself keeps unknown fields. The folder is keyed by
the content of what it was made from, so it is never stale and never made twice.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.tools import cache_root, share

# kubeconform fills these in; for the core group both are the version.
LOCATION = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# The API accepts these in forms that the OpenAPI document does not say.
SPECIAL: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}
# What a schema says beyond its shape: prose, and Kubernetes' own extensions.
_DROPPED = ("description", "default", "example", "externalDocs", "format")

Schema = dict[str, Any]


def schema_folder() -> Path:
    """The folder of schemas for the pinned modules; made when it is not there yet."""
    swagger = next(share("openapi").rglob("swagger.json"))
    crds = sorted([*share("crds").rglob("*.yaml"), *share("csi-crds").rglob("*.yaml")])
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in (swagger, *crds):
        digest.update(path.name.encode() + path.read_bytes())
    folder = cache_root() / "schemas" / digest.hexdigest()[:16]
    if not folder.exists():
        write_schemas(folder, swagger, crds)
    return folder


def write_schemas(folder: Path, swagger: Path, crds: list[Path]) -> None:
    """Write one schema for each kind into FOLDER, which appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    definitions = json.loads(swagger.read_text())["definitions"]
    for group, version, kind, schema in (*_builtin(definitions), *_custom(definitions, crds)):
        name = f"{kind.lower()}-{group or version}-{version}.json"
        (made / name).write_text(json.dumps(schema, separators=(",", ":")))
    try:
        made.rename(folder)
    except OSError:  # another run was faster, with the same content
        shutil.rmtree(made)
        if not folder.exists():
            raise
    else:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - mkdtemp makes it the owner's alone


def _builtin(definitions: Schema) -> Iterator[tuple[str, str, str, Schema]]:
    for definition in definitions.values():
        for gvk in definition.get("x-kubernetes-group-version-kind", ()):
            if "metadata" in definition.get("properties", {}):
                schema = _closed(definition)
                _name_kind(schema, gvk["group"], gvk["version"], gvk["kind"])
                schema["definitions"] = _closure(definitions, schema)
                yield gvk["group"], gvk["version"], gvk["kind"], schema


def _custom(definitions: Schema, crds: list[Path]) -> Iterator[tuple[str, str, str, Schema]]:
    for path in crds:
        for document in yaml.safe_load_all(path.read_text()):
            spec = document["spec"]
            for version in spec["versions"]:
                schema = _closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"$ref": f"#/definitions/{OBJECT_META}"}
                _name_kind(schema, spec["group"], version["name"], spec["names"]["kind"])
                schema["definitions"] = _closure(definitions, schema)
                yield spec["group"], version["name"], spec["names"]["kind"], schema


def _name_kind(schema: Schema, group: str, version: str, kind: str) -> None:
    """Say which apiVersion and kind this schema is for."""
    schema["properties"]["apiVersion"] = {"const": f"{group}/{version}" if group else version}
    schema["properties"]["kind"] = {"const": kind}
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind"})


def _closed(schema: Any) -> Any:
    """Copy SCHEMA without prose; an object with known properties takes no other."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    copy = {key: value for key, value in schema.items() if not _dropped(key)}
    if isinstance(copy.get("properties"), dict):
        copy["properties"] = {key: _closed(value) for key, value in copy["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            copy.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
        if key in copy:
            copy[key] = _closed(copy[key])
    return copy


def _dropped(key: str) -> bool:
    return key in _DROPPED or key.startswith("x-kubernetes-")


def _closure(definitions: Schema, schema: Schema) -> Schema:
    """Return the definitions that SCHEMA refers to, and those that they refer to."""
    found: Schema = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = SPECIAL.get(name) or _closed(definitions[name])
            waiting.extend(_references(found[name]))
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/definitions/")
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)
