"""Gather the facts: by kubectl what the cluster shows, as the bot what the vault says, by az more.

What cannot be looked at is a sentence in `unseen`, never an exception.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusters.azure.doctor import azure_look, bot_look, vault_look
from clusters.azure.doctor.facts import BOT, FLUX, Azure, Bot, Facts, Pod, SecretLook
from clusters.azure.doctor.kubectl import Kubectl, Unanswered
from clusters.azure.doctor.objects import Json, flux_object, is_plain, pods

_KINDS = (
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "imagerepositories.image.toolkit.fluxcd.io",
    "imagepolicies.image.toolkit.fluxcd.io",
    "imageupdateautomations.image.toolkit.fluxcd.io",
)
_INSTANCE = "fluxinstances.fluxcd.controlplane.io"
_LOGIN = "login.microsoftonline.com"


@dataclass
class Collector:
    """One round of looking. PASSIVE: nothing is asked of the vault, nothing of az.

    NAMES are what the set-up called things; they only make remedies complete. SOURCE says whose
    kubeconfig is used.
    """

    kubectl: Kubectl
    passive: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    unseen: list[str] = field(default_factory=list)

    def facts(self) -> Facts:
        """Look at everything."""
        asked = f"{self.kubectl.context()}, {self.source}" if self.source else ""
        try:
            version = self.kubectl.text("get", "--raw", "/version")
            json.loads(version)
        except (Unanswered, ValueError) as error:
            return Facts(unreachable=str(error), asked=asked, names=dict(self.names))
        settings, issuer, found = self._settings(), self._issuer(), self._pods()
        known, flux = settings or {}, self._flux()
        return Facts(
            asked=asked,
            issuer=issuer,
            settings=settings,
            key_vault=not any(map(is_plain, flux)),
            flux=tuple(flux_object(item) for item in flux),
            controllers=self._controllers(),
            pods=found,
            bot=self._bot(found),
            secrets=self._secrets(known),
            vault_resolves=_resolves(known.get("KEYVAULT_NAME", "")),
            azure=self._azure(known),
            names=dict(self.names),
            unseen=tuple(self.unseen),
        )

    def _settings(self) -> dict[str, str] | None:
        try:
            found = self.kubectl.text(
                *("get", "configmap", "cluster-settings", f"--namespace={FLUX}"),
                *("--ignore-not-found", "--output=json"),
            )
        except Unanswered as error:
            self.unseen.append(f"cluster-settings in {FLUX}: {error}")
            return {}
        return dict(json.loads(found).get("data") or {}) if found else None

    def _issuer(self) -> str:
        try:
            found = self.kubectl.text("get", "--raw", "/.well-known/openid-configuration")
            return str(json.loads(found)["issuer"])
        except (Unanswered, ValueError, KeyError):
            return ""  # it only makes a remedy complete

    def _flux(self) -> list[Json]:
        found: list[Json] = []
        for kind in (*_KINDS, _INSTANCE):
            try:
                found += self.kubectl.items(kind, FLUX)
            except Unanswered as error:
                # Flux may have been installed without the operator: then there is no such kind.
                if kind != _INSTANCE:
                    self.unseen.append(f"{kind.partition('.')[0]} in {FLUX}: {error}")
        return found

    def _controllers(self) -> tuple[Pod, ...]:
        try:
            return pods(self.kubectl.items("pods", FLUX))
        except Unanswered as error:
            self.unseen.append(f"pods in {FLUX}: {error}")
            return ()

    def _pods(self) -> tuple[Pod, ...]:
        try:
            items = self.kubectl.items(
                "pods", BOT, "--selector=app.kubernetes.io/name=discord-sky-bot"
            )
            events = self.kubectl.items("events", BOT, "--field-selector=type=Warning")
        except Unanswered as error:
            self.unseen.append(f"pods in {BOT}: {error}")
            return ()
        return pods(items, events)

    def _bot(self, found: tuple[Pod, ...]) -> Bot | None:
        newest = next((pod for pod in found if not pod.leaving), None)
        if newest is None or newest.mount or newest.stuck or newest.waiting == "ContainerCreating":
            return None
        return bot_look.look(self.kubectl, newest, self.unseen)

    def _secrets(self, settings: dict[str, str]) -> tuple[SecretLook, ...]:
        return () if self.passive else vault_look.look(self.kubectl, settings, self.unseen)

    def _azure(self, settings: dict[str, str]) -> Azure | None:
        if self.passive:
            return None
        return azure_look.look(settings, self.unseen)


def _resolves(vault: str) -> bool | None:
    """Say whether DNS knows the vault's name; None where this machine's DNS cannot tell."""
    if not vault:
        return None
    for host, answer in ((f"{vault}.vault.azure.net", True), (_LOGIN, False)):
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            continue
        return answer
    return None
