"""Commit messages."""

import pytest

from tests.loop.image_controllers.model import Key, Refused
from tests.loop.image_controllers.setters import Change, ObjectId
from tests.loop.image_controllers.template import parse
from tests.loop.image_controllers.template_values import Changed, RemovedFieldError, TemplateData

ONE = ObjectId("kustomize.config.k8s.io/v1beta1", "Kustomization", "", "")
TAG = Change("ns:bot:tag", "main-1", "main-2")
DIGEST = Change("ns:bot:digest", "sha256:1", "sha256:2")
DATA = TemplateData(
    Key("flux-system", "discord-sky"),
    Changed({"b.yaml": {ONE: [TAG]}, "a.yaml": {ONE: [TAG, DIGEST]}}),
    {"cluster": "loop"},
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Update", "Update"),
        ("{{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }}; {{ end }}",
         "main-1 -> main-2; sha256:1 -> sha256:2; "),
        ("{{range .Changed.Changes}}{{print .OldValue}} -> {{println .NewValue}}{{end}}",
         "main-1 -> main-2\nsha256:1 -> sha256:2\n"),
        ("Files:\n{{ range $name, $_ := .Changed.FileChanges -}}\n- {{ $name }}\n{{ end -}}\nEnd",
         "Files:\n- a.yaml\n- b.yaml\nEnd"),
        ("{{ range $one, $all := .Changed.Objects }}{{ $one.Kind | lower }}{{ len $all }}{{ end }}",
         "kustomization1"),
        ("{{ .AutomationObject }} {{ .AutomationObject.Name }} {{ $.Values.cluster }}",
         "flux-system/discord-sky discord-sky loop"),
        ("a {{- /* said */ -}} b", "ab"),
        ('{{ if contains "1" "x" }}x{{ else if eq "a" "a" }}y{{ else }}z{{ end }}', "y"),
        ('{{ if eq .Values.cluster "x" }}x{{ else }}z{{ end }}', "z"),
        ("{{ range .Changed.FileChanges }}{{ else }}none{{ end }}", ""),
        ("{{ trunc 3 (upper .Values.cluster) }}{{ len .Changed.Changes }}", "LOO2"),
        ('{{ `raw` }}{{ "a\\nb" }}', "rawa\nb"),
        ('{{ if not (hasPrefix "x" .Values.cluster) }}no{{ end }}', "no"),
    ],
)  # fmt: skip
def test_messages(text: str, message: str) -> None:
    assert parse(text).render(DATA) == message


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Changed.Changes }}",
        "{{ .Nothing }}",
        "{{ .Changed.Nothing }}",
        "{{ .Values.nothing }}",
        "{{ $x := 1 }}",
        "{{ with .Changed }}{{ end }}",
        '{{ template "x" }}',
        "{{ sha256sum .Values.cluster }}",
        "{{ range .Values.cluster }}{{ end }}",
        "{{ range .Changed.Changes }}{{ break }}{{ end }}",
        "{{ range .Changed.Changes }}",
        "{{ end }}",
        "{{ if }}x{{ end }}",
        "{{ lower }}",
        "{{ .Values.cluster | .AutomationObject }}",
        "{{ $undefined }}",
        "{{ 'x' }}",
        "{{ .Values.cluster",
        "{{ }}",
        "{{ (print 1 }}",
        '{{ index .Values "cluster" }}',
        "{{ range $a $b := .Changed.Changes }}{{ end }}",
    ],
)
def test_what_is_not_known_is_refused_by_the_field_s_path(text: str) -> None:
    with pytest.raises(Refused, match=r"^spec\.git\.commit\.messageTemplate: "):
        parse(text).render(DATA)


@pytest.mark.parametrize(
    "text", ["{{ range .Updated.Images }}{{ end }}", "{{ .Changed.ImageResult }}"]
)
def test_fields_that_flux_removed_are_told_apart(text: str) -> None:
    with pytest.raises(RemovedFieldError, match="Please use"):
        parse(text).render(DATA)


@pytest.mark.parametrize(
    "text",
    [
        "{{ if not .Values.cluster }}{{ $c.NewValue }}{{ end }}",
        "{{ range $c := .Changed.Changes }}{{ end }}{{ if eq 1 2 }}{{ $c }}{{ end }}",
        "{{ /* said */ }}",
    ],
)
def test_what_go_would_not_parse_is_refused_also_where_no_run_comes_by(text: str) -> None:
    with pytest.raises(Refused):
        parse(text)
