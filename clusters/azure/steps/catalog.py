"""All steps, in the order in which they are made; teardown goes backwards."""

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
from clusters.azure.steps.cluster import ACCESS, CAPACITY, CLUSTER
from clusters.azure.steps.flux import CLUSTER_SETTINGS, FLUX, FLUX_OPERATOR, KEY, NAMESPACE
from clusters.azure.steps.github import GUARD_ENVIRONMENT, GUARD_KEY, WORKFLOW_VARIABLES
from clusters.azure.steps.running import BOT_READY, IMAGE, SECRETS

STEPS = (
    # What is free comes first; the secrets early, because a person has to type them.
    PROVIDERS,
    GROUP,
    BOT,
    IMAGE_REFLECTOR,
    CI,
    VAULT,
    SECRETS_OFFICER,
    SECRETS,
    REGISTRY,
    CLUSTER,
    ACCESS,
    CAPACITY,
    *ROLES,
    *FEDERATED_CREDENTIALS,
    WORKFLOW_VARIABLES,
    GUARD_ENVIRONMENT,
    GUARD_KEY,
    NAMESPACE,
    KEY,
    FLUX_OPERATOR,
    CLUSTER_SETTINGS,
    FLUX,
    *ALERTS,
    IMAGE,
    BOT_READY,
)
# What costs something while it stands (money.py).
PAID = (REGISTRY, CLUSTER)
# May belong to somebody else, and is then used and left as it is.
SHARED = (GROUP, REGISTRY, CLUSTER)
