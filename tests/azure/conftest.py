"""What others have made before: an existing cluster and an existing registry."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clusters.azure.__main__ import main
from tests.azure.fake.cloud import SUBSCRIPTION, FakeCloud
from tests.azure.fake.programs import new_cloud

_GROUP = "group create --name others --location northeurope --tags team=others"
_MADE = {
    "cluster": (
        "aks create --name theirs --resource-group others --location northeurope --tier standard "
        "--node-count 3 --node-vm-size Standard_D4s_v5 --node-osdisk-size 128 --os-sku Ubuntu "
        "--network-plugin azure --network-plugin-mode overlay --network-dataplane cilium "
        "--enable-managed-identity --enable-oidc-issuer --enable-workload-identity "
        "--enable-addons azure-keyvault-secrets-provider --enable-secret-rotation "
        "--rotation-poll-interval 2m --disable-disk-driver --disable-file-driver "
        "--disable-snapshot-controller --no-ssh-key --tags team=others"
    ),
    "registry": (
        "acr create --name theirs123 --resource-group others --location northeurope --sku Standard "
        "--admin-enabled true --role-assignment-mode rbac --tags team=others"
    ),
}
_ARGUMENTS = {
    "cluster": ("--cluster", "theirs", "--cluster-group", "others"),
    "registry": ("--registry", "theirs123", "--registry-group", "others"),
}


def run_az_as_others(cloud: FakeCloud, line: str) -> None:
    """Run `az LINE` as somebody else, uncounted."""
    scope = ["--subscription", SUBSCRIPTION, "--output", "json", "--only-show-errors"]
    done = cloud.execute(["az", *shlex.split(line), *scope], None, {}, live=False)
    assert done.code == 0, done.stderr
    cloud.calls.pop()


def make_existing_resources(cloud: FakeCloud, what: list[str]) -> list[str]:
    """Make it; return the arguments that name it."""
    for line in (_GROUP, *(_MADE[one] for one in what)) if what else ():
        run_az_as_others(cloud, line)
    return [word for one in what for word in _ARGUMENTS[one]]


@dataclass
class Scenario:
    """A cloud, a folder for the record, and what set-up printed."""

    folder: Path
    cloud: FakeCloud = field(default_factory=new_cloud)
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, yes: bool = True) -> int:
        """Run the set-up's command line, all questions answered; return its exit code."""
        return main(
            [*arguments, *(["--yes"] if yes else [])],
            execute=self.cloud.execute,
            folder=self.folder,
            say=self.said.append,
            sleep=lambda _seconds: None,
        )

    def az(self, line: str) -> None:
        """Run a line of `az` as somebody else."""
        run_az_as_others(self.cloud, line)

    def make_existing(self, what: list[str]) -> list[str]:
        """Let others have made a cluster or a registry; return the arguments that name it."""
        return make_existing_resources(self.cloud, what)

    @property
    def text(self) -> str:
        """Everything that set-up printed."""
        return "\n".join(self.said)


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """Return a scenario with an empty cloud."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Scenario(folder)
