"""The subject that GitHub writes into the tokens of main's workflows."""

from __future__ import annotations

from typing import Any

from clusters.azure.errors import Stop

_MAIN = "ref:refs/heads/main"
_DEFAULT = ["repo", "context"]


def subject(repository: Any, setting: Any) -> str:
    """Derive it from the repository and its own OIDC setting, both as GitHub's API gives them.

    Repositories made or renamed since July 2026 have ids in it, older ones may; a repository may
    also have a template of its own. Raises Stop where the template is another than the usual one.
    """
    claims = setting.get("include_claim_keys") or []
    if not setting.get("use_default", True) and claims != _DEFAULT:
        raise Stop(
            "This repository makes its OIDC subjects by a template of its own "
            f"({', '.join(claims) or 'of its organization'}). Give the subject that its tokens for "
            "main have: --ci-subject SUBJECT."
        )
    return f"{setting.get('sub_claim_prefix') or _prefix(repository, setting)}:{_MAIN}"


def _prefix(repository: Any, setting: Any) -> str:
    if not setting.get("use_immutable_subject"):
        return f"repo:{repository['full_name']}"
    owner = repository["owner"]
    return f"repo:{owner['login']}@{owner['id']}/{repository['name']}@{repository['id']}"
