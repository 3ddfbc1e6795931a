"""Who the bot is in Azure: the pod's workload identity, or whoever is logged in with `az`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.identity.aio import AzureCliCredential, WorkloadIdentityCredential

_AZ_SECONDS = 30  # `az` is slow to start
_WORKLOAD = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


def is_workload(environ: Mapping[str, str]) -> bool:
    """Say whether the environment names a workload identity."""
    return all(environ.get(name) for name in _WORKLOAD)


def credential(
    environ: Mapping[str, str], **options: Any
) -> WorkloadIdentityCredential | AzureCliCredential:
    """Make the credential that the environment asks for; loads Azure's libraries."""
    from azure.identity import aio  # noqa: PLC0415  # 19 MiB that most bots never need

    if is_workload(environ):
        client, tenant, file = (environ[name] for name in _WORKLOAD)
        return aio.WorkloadIdentityCredential(
            client_id=client, tenant_id=tenant, token_file_path=file, retry_total=0, **options
        )
    return aio.AzureCliCredential(process_timeout=_AZ_SECONDS)
