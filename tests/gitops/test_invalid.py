from pathlib import Path

import pytest

from tests.gitops.apiserver import ApiServer
from tests.gitops.check import Run
from tests.gitops.examples import Example, load_examples


@pytest.mark.parametrize("example", load_examples(), ids=lambda example: example.name)
def test_invalid_example_is_refused_with_the_message_expected(
    example: Example, server: ApiServer, tmp_path: Path
) -> None:
    run = Run(example.tree(tmp_path), server)

    results = run.results([example.check])

    findings = {result.check: result.findings for result in results}
    assert any(example.message in finding.problem for finding in findings[example.check]), findings
    assert all(finding.remedy and finding.where for finding in findings[example.check])
    assert not any(found for check, found in findings.items() if check != example.check), findings


def test_every_example_is_named_once_and_says_what_a_person_did() -> None:
    examples = load_examples()

    assert len({example.name for example in examples}) == len(examples) >= 30
    assert all(example.edit or example.add or example.settings for example in examples)
