"""Every rendered object against its schema, by kubeconform: no unknown field, none skipped."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from tests.gitops.findings import Finding, KubeObject
from tests.gitops.schemas import LOCATION, schema_folder
from tests.tools import tool


@dataclass(frozen=True)
class Conformity:
    """kubeconform's own counts, and what it found."""

    valid: int
    invalid: int
    errors: int
    skipped: int
    findings: tuple[Finding, ...]


def conform(where: str, objects: Iterable[KubeObject]) -> Conformity:
    """Validate OBJECTS strictly. A kind without a schema is an error, not a skip."""
    schemas = f"-schema-location={schema_folder()}/{LOCATION}"
    done = subprocess.run(
        [str(tool("kubeconform")), "-strict", "-summary", "-output=json", schemas],
        input=yaml.safe_dump_all(objects),
        check=False,
        capture_output=True,
        text=True,
    )
    if not done.stdout:
        raise RuntimeError(f"kubeconform ended with {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    counts = report["summary"]
    return Conformity(
        valid=counts["valid"],
        invalid=counts["invalid"],
        errors=counts["errors"],
        skipped=counts["skipped"],
        findings=tuple(
            finding for entry in report["resources"] for finding in _findings(where, entry)
        ),
    )


def _findings(where: str, entry: dict[str, str]) -> Iterator[Finding]:
    """Split what kubeconform says of one object into one finding for each place in it."""
    item = f"{entry['kind']} {entry['name']}"
    places = [place.strip() for place in entry["msg"].split(" - at ")[1:]]
    if not places:  # the object as a whole
        remedy = "Pin the module that has this kind's CRD in tests/tools, or correct apiVersion."
        yield Finding(where, f"{item}: {entry['msg']}", remedy)
    remedy = f"Look the field up: `kubectl explain {entry['kind'].lower()} --recursive`."
    for place in places:
        if not place.endswith(": validation failed"):  # of something inside, which follows
            yield Finding(where, f"{item} at {place}", remedy)
