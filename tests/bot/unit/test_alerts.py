"""The alert rules are about series that the bot has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.observability.metrics import Metrics

ROOM = Path(__file__).parents[3] / "apps" / "discord-sky"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOM / "alerts.rules").read_text())["groups"]
    for rule in group["rules"]
]
SERIES = re.compile(r"discord_sky_\w+")


def known() -> set[str]:
    families = list(Metrics().registry.collect())
    totals = {f"{family.name}_total" for family in families if family.type == "counter"}
    return totals | {family.name for family in families}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_about_series_that_there_are(rule: dict[str, Any]) -> None:
    named = set(SERIES.findall(rule["expr"]))

    assert named
    assert named <= known()
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_the_readme_lists_only_series_that_there_are() -> None:
    text = (ROOM / "README.md").read_text()
    listed = set(re.findall(r"`((?:credential|keyvault)_\w+)\{", text))

    assert listed
    assert {f"discord_sky_{name}" for name in listed} <= known()
