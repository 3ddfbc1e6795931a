"""The tree of errors."""

from __future__ import annotations

import re

import pytest

from bot.domain import errors
from bot.domain.errors import Retried, SkyError, UserFacingError

CLASSES = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SkyError)
]


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = set(re.findall(r"^[ │├└─]*([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE))

    assert {kind.__name__ for kind in CLASSES} <= drawn


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, (Retried, UserFacingError))]
)
def test_a_person_reads_one_or_two_plain_sentences(kind: type[SkyError]) -> None:
    assert re.fullmatch(r"[A-Z][^.\n]+\.( [A-Z][^.\n]+\.)?", kind.sentence)


def test_labels_are_metric_values_of_their_own() -> None:
    labels = [kind.label for kind in CLASSES if "label" in vars(kind)]

    assert len(labels) == len(set(labels))
    assert all(re.fullmatch(r"[a-z_]+", label) for label in labels)
