"""The bill that set-up shows and the one in the documentation are the same."""

from pathlib import Path

from clusters.azure import money
from clusters.azure.steps import PAID

ROOT = Path(__file__).parents[2]


def test_the_documentation_has_every_line_of_the_bill() -> None:
    text = (ROOT / "clusters/azure/README.md").read_text()
    lines = [line for step in PAID for line in money.lines(step, "Standard_D2s_v5")]

    for line in lines:
        assert f"| {line.what} | {line.dollars or 0:.2f}".replace(" 0.00", " 0") in text
    total = sum(line.dollars or 0 for line in lines)
    assert f"| together, about | {total:.0f} |" in text
    assert f"about {total:.0f} US dollars" in (ROOT / "README.md").read_text()
