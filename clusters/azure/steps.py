"""All steps, in the order in which they are made; teardown goes backwards."""

from __future__ import annotations

from clusters.azure.alert_steps import ALERTS
from clusters.azure.azure_steps import (
    BOT,
    CI,
    CLUSTER,
    IMAGE_REFLECTOR,
    OFFICER,
    REGISTRY,
    ROLES,
    TRUST,
    VAULT,
)
from clusters.azure.cluster_steps import ACCESS, KEY, NAMESPACE, ROOM
from clusters.azure.flux_steps import CLUSTER_SETTINGS, FLUX, FLUX_OPERATOR
from clusters.azure.github_steps import WORKFLOW_VARIABLES
from clusters.azure.group_steps import GROUP, PROVIDERS
from clusters.azure.guard_steps import GUARD_ENVIRONMENT, GUARD_KEY
from clusters.azure.running_steps import BOT_READY, IMAGE, SECRETS

STEPS = (
    # What is free comes first; the secrets early, because a person has to type them.
    PROVIDERS,
    GROUP,
    BOT,
    IMAGE_REFLECTOR,
    CI,
    VAULT,
    OFFICER,
    SECRETS,
    REGISTRY,
    CLUSTER,
    ACCESS,
    ROOM,
    *ROLES,
    *TRUST,
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
