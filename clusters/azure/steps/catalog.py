"""All steps in the order in which set-up takes them; teardown goes backwards."""

from __future__ import annotations

from clusters.azure.steps.alerts import ALERTS
from clusters.azure.steps.azure import (
    BOT,
    CI,
    FEDERATED_CREDENTIALS,
    GROUP,
    IMAGE_REFLECTOR,
    PROVIDERS,
    REGISTRY,
    ROLES,
    SECRETS_OFFICER,
    VAULT,
)
from clusters.azure.steps.cluster import ACCESS, API_ACCESS, CAPACITY, CLUSTER, UPGRADES
from clusters.azure.steps.flux import CLUSTER_SETTINGS, FLUX, FLUX_OPERATOR, KEY, NAMESPACE
from clusters.azure.steps.github import (
    CLAIM,
    ENABLED_WORKFLOWS,
    GUARD_ENVIRONMENT,
    GUARD_KEY,
    RULESETS,
    WORKFLOW_VARIABLES,
)
from clusters.azure.steps.running import BOT_READY, IMAGE, SECRETS

STEPS = (
    # What is free comes first, GitHub's part included, so that a refusal there costs nothing; the
    # secrets early, because a person has to type them.
    PROVIDERS,
    GROUP,
    BOT,
    IMAGE_REFLECTOR,
    CI,
    CLAIM,
    GUARD_ENVIRONMENT,
    GUARD_KEY,
    ENABLED_WORKFLOWS,
    RULESETS,
    VAULT,
    SECRETS_OFFICER,
    SECRETS,
    REGISTRY,
    CLUSTER,
    UPGRADES,
    API_ACCESS,
    ACCESS,
    CAPACITY,
    *ROLES,
    *FEDERATED_CREDENTIALS,
    WORKFLOW_VARIABLES,
    NAMESPACE,
    KEY,
    FLUX_OPERATOR,
    CLUSTER_SETTINGS,
    FLUX,
    *ALERTS,
    IMAGE,
    BOT_READY,
)
# What costs money while it exists (prices.py).
PAID = (REGISTRY, CLUSTER)
# May belong to somebody else, and is then used as it is.
SHARED = (GROUP, REGISTRY, CLUSTER)
