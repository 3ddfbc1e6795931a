"""Edits of manifests: the value and nothing else, in the files that this repository has."""

from pathlib import Path

import pytest
import yaml
from release.errors import ReleaseError
from release.history import Deployed
from release.manifests import (
    AUTOMATION,
    DEFAULT,
    IMAGE_REPOSITORY,
    KUSTOMIZATION,
    author_email,
    deployed,
    excluded,
    with_deployed,
    with_excluded,
)

ROOT = Path(__file__).parents[2]
EXPRESSION = "^main-0*(?:1[2-4])-[0-9a-f]{7}$"
OTHER = "^main-0*(?:[1-9])-[0-9a-f]{7}$"


def read(path: str) -> str:
    return (ROOT / path).read_text()


def test_the_list_is_all_that_changes() -> None:
    before = read(IMAGE_REPOSITORY)

    after = with_excluded(before, EXPRESSION)

    assert (
        excluded(after) == yaml.safe_load(after)["spec"]["exclusionList"] == [DEFAULT, EXPRESSION]
    )
    assert [line for line in after.split("\n") if line not in before.split("\n")] == [
        f"    - '{EXPRESSION}'"
    ]
    assert with_excluded(with_excluded(after, OTHER), None) == before
    assert with_excluded(after, EXPRESSION) == after
    assert with_excluded(before, None) == before


def test_peoples_own_entries_and_comments_stay() -> None:
    before = (
        "spec:\n  exclusionList:  # tags\n  - ^.*\\.sig$\n  # ours\n  - '^it''s$' # quoted\n"
        '  - "^a\\\\.b$"\n\n  interval: 1m\n'
    )

    after = with_excluded(before, EXPRESSION)

    assert yaml.safe_load(after)["spec"] == {
        "exclusionList": [DEFAULT, "^it's$", "^a\\.b$", EXPRESSION],
        "interval": "1m",
    }
    assert with_excluded(after, None) == before


def test_two_entries_of_the_guards_become_one() -> None:
    """As after a merge that took both sides."""
    before = f"spec:\n  exclusionList:\n    - {DEFAULT}\n    - '{OTHER}'\n    - '{EXPRESSION}'\n"

    assert excluded(with_excluded(before, EXPRESSION)) == [DEFAULT, EXPRESSION]


@pytest.mark.parametrize(
    "text", ["spec: {}\n", "spec:\n  exclusionList: ['^.*\\.sig$']\n", "spec:\n  exclusionList:\n"]
)
def test_another_form_is_refused_with_the_form_that_is_wanted(text: str) -> None:
    with pytest.raises(ReleaseError, match="a line `exclusionList:`, and below it one entry"):
        with_excluded(text, EXPRESSION)


def test_more_entries_than_flux_takes_are_refused() -> None:
    full = "spec:\n  exclusionList:\n" + "".join(f"    - ^x{n}$\n" for n in range(25))

    with pytest.raises(ReleaseError, match="Flux takes 25 entries"):
        with_excluded(full, EXPRESSION)


def test_tag_and_digest_are_read_and_written_where_flux_writes_them() -> None:
    before = read(KUSTOMIZATION)
    to = Deployed("main-12-0a1b2c3", "sha256:" + "1" * 64)

    after = with_deployed(before, to)

    assert deployed(after) == to
    image = yaml.safe_load(after)["images"][0]
    assert (image["newTag"], image["digest"]) == (to.tag, to.digest)
    changed = [line for line in after.split("\n") if line not in before.split("\n")]
    assert len(changed) == 2
    assert all('{"$imagepolicy": "flux-system:discord-sky:' in line for line in changed)


@pytest.mark.parametrize("quote", ["'", '"', ""])
def test_a_hand_edit_may_quote(quote: str) -> None:
    text = (
        f"images:\n- newTag: {quote}main-1-0a1b2c3{quote}\n  digest: {quote}sha256:1{quote} # x\n"
    )

    assert deployed(text) == Deployed("main-1-0a1b2c3", "sha256:1")


def test_a_file_without_a_tag_deploys_nothing() -> None:
    assert deployed("images: []\n") is None
    with pytest.raises(ReleaseError, match="has no newTag"):
        with_deployed("images: []\n", Deployed("a", "b"))


def test_the_automations_address_is_read() -> None:
    assert author_email(read(AUTOMATION)) == "image-automation@discord-sky.invalid"
