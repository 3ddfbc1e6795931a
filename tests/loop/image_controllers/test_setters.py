"""Setter comments."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.setters import UpdateError, edit, setter_values

DIGEST = f"sha256:{'ab' * 32}"
POLICY = {
    "metadata": {"namespace": "flux-system", "name": "discord-sky"},
    "status": {"latestRef": {"name": "h:5000/bot", "tag": "main-7-abcdef0", "digest": DIGEST}},
}
VALUES = setter_values([POLICY])
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
# A comment,   and a line with odd   spaces.
images:
- name:   discordskybot
  newName: ${ACR_LOGIN_SERVER}/discordskybot
  newTag:   main-0-0000000   # {"$imagepolicy": "flux-system:discord-sky:tag"}

  digest: 'sha256:00' # {"$imagepolicy": "flux-system:discord-sky:digest"}
"""


def test_only_the_marked_scalars_change() -> None:
    edited = edit(KUSTOMIZATION, VALUES)

    expected = KUSTOMIZATION.replace("main-0-0000000", "main-7-abcdef0").replace(
        "sha256:00", DIGEST
    )
    assert edited.text == expected
    assert [(change.old, change.new) for _, change in edited.changes] == [
        ("main-0-0000000", "main-7-abcdef0"),
        ("sha256:00", DIGEST),
    ]
    assert {one.kind for one, _ in edited.changes} == {"Kustomization"}


def test_the_four_setters() -> None:
    assert {
        "flux-system:discord-sky": f"h:5000/bot:main-7-abcdef0@{DIGEST}",
        "flux-system:discord-sky:tag": "main-7-abcdef0",
        "flux-system:discord-sky:name": "h:5000/bot",
        "flux-system:discord-sky:digest": DIGEST,
    } == VALUES


def test_a_second_time_changes_nothing() -> None:
    once = edit(KUSTOMIZATION, VALUES).text

    again = edit(once, VALUES)

    assert again.text == once
    assert not again.changes


def test_a_policy_that_is_not_there_is_named_and_nothing_changes() -> None:
    edited = edit(KUSTOMIZATION, {})

    assert edited.text == KUSTOMIZATION
    assert edited.unknown == ("flux-system:discord-sky:tag", "flux-system:discord-sky:digest")


@pytest.mark.parametrize(
    "text",
    [
        "a: x # $imagepolicy: n:p\n",
        'a: x # {"$imagepolicy": 1}\n',
        'a: x # {"$imagepolicy": "n:p"} and more\n',
        'a: "x # {\\"$imagepolicy\\": \\"n:p\\"}"\n',
    ],
)
def test_comments_that_mark_nothing(text: str) -> None:
    edited = edit(text, {"n:p": "new"})

    assert edited.text == text
    assert not edited.changes


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("a: x", "1", 'a: "1"'),
        ("a: x", "1e5", "a: 1e5"),  # a string to YAML 1.1, which wants a dot
        ("a: x", "1.5", 'a: "1.5"'),
        ("a: x", "on", 'a: "on"'),
        ("a: x", "", 'a: ""'),
        ("a: 'x'", "1", "a: '1'"),
        ('a: "x"', "v1", 'a: "v1"'),
        ("a: !!str 1", "v2", "a: !!str v2"),
        ("a: &anchor x", "v2", "a: &anchor v2"),
        ("- x", "v2", "- v2"),
        ("a: x\n  y", "v2", "a: v2"),
        ("a: {b: x", "v2", "a: {b: v2"),
    ],
)
def test_a_value_keeps_its_style_and_stays_a_string(before: str, value: str, after: str) -> None:
    comment = ' # {"$imagepolicy": "n:p"}\n' + ("}\n" if "{" in before else "")

    assert edit(before + comment, {"n:p": value}).text == after + comment


def test_documents_are_told_apart() -> None:
    mark = '# {"$imagepolicy": "n:p"}'
    first, second = ("kind: A\nmetadata:\n  name: a\n", "kind: B\nmetadata:\n  name: b\n")
    text = f"---\n{first}---\n{second}x: old {mark}\n"

    ((one, _),) = edit(text, {"n:p": "new"}).changes

    assert (one.kind, one.name) == ("B", "b")


def test_windows_line_ends_and_a_byte_order_mark_stay() -> None:
    text = '\ufeffa: x # {"$imagepolicy": "n:p"}\r\nb: ü\r\n'

    assert edit(text, {"n:p": "new"}).text == text.replace("x", "new")


@pytest.mark.parametrize(
    "text",
    [
        '# {"$imagepolicy": "n:p"}\na: x\n',
        'a:\n# {"$imagepolicy": "n:p"}\n- x\n',
        'a: # {"$imagepolicy": "n:p"}\n  x: y\n',
        'a: | # {"$imagepolicy": "n:p"}\n  x\n',
        'a: [x] # {"$imagepolicy": "n:p"}\n',
        'a: x # {"$imagepolicy": "n:p"}\nb: {x: y} # {"$imagepolicy": "n:p"}\n',
    ],
)
def test_a_setter_comment_that_is_not_right_behind_a_value_is_refused(text: str) -> None:
    """Flux reads some of these; guessing which would be worse than saying so."""
    with pytest.raises(Refused, match="setter comment"):
        edit(text, {"n:p": "new"})


def test_what_looks_like_a_setter_comment_inside_a_text_is_text() -> None:
    text = 'a: |\n  b: x # {"$imagepolicy": "n:p"}\n'

    assert edit(text, {"n:p": "new"}).text == text


def test_what_is_no_yaml_is_said() -> None:
    with pytest.raises(UpdateError, match="not YAML"):
        edit('{{ a }}: [ x # {"$imagepolicy": "n:p"}', {"n:p": "new"})


def test_a_value_that_is_no_image_is_refused() -> None:
    bad = {**POLICY, "status": {"latestRef": {"name": "h/bot", "tag": "a b"}}}

    with pytest.raises(UpdateError, match="invalid image ref"):
        setter_values([bad])


plain = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,20}[A-Za-z0-9]", fullmatch=True)
styles = st.sampled_from(["{}", "'{}'", '"{}"'])
spaces = st.sampled_from([" ", "   "])
lines = st.tuples(plain, styles, spaces, st.sampled_from(["", "n:p", "n:p:tag", "other:q"]))


def rendered(drawn: list[tuple[str, str, str, str]], indent: str, line_end: str) -> str:
    text = f"top:{line_end}"
    for place, (value, style, space, setter) in enumerate(drawn):
        comment = f'{space}# {{"$imagepolicy": "{setter}"}}' if setter else f"{space}# nothing"
        text += f"{indent}key{place}: {style.format(value)}{comment}{line_end}"
    return text


@given(
    st.lists(lines, min_size=1, max_size=8),
    st.sampled_from(["  ", "    "]),
    st.sampled_from(["\n", "\r\n"]),
    plain,
)
def test_every_byte_outside_marked_scalars_stays(
    drawn: list[tuple[str, str, str, str]], indent: str, line_end: str, new: str
) -> None:
    text = rendered(drawn, indent, line_end)
    values = {"n:p": new, "n:p:tag": "t1"}

    edited = edit(text, values)

    wanted = [values.get(setter, value) for value, _, _, setter in drawn]
    loaded = yaml.load(edited.text, Loader=yaml.BaseLoader)["top"]  # noqa: S506 - strings only
    marked = [place for place, line in enumerate(drawn) if line[3] in values]
    assert [str(loaded[f"key{place}"]) for place in marked] == [wanted[place] for place in marked]
    skeleton = re.compile(r"""(key\d+: )("[^"]*"|'[^']*'|[^\s]+)""")
    assert skeleton.sub(r"\1", edited.text) == skeleton.sub(r"\1", text)
    for place, (old, new_line) in enumerate(
        zip(text.splitlines()[1:], edited.text.splitlines()[1:], strict=True)
    ):
        if place not in marked or wanted[place] == drawn[place][0]:
            assert new_line == old
    assert edit(edited.text, values).text == edited.text
