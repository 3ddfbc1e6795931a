"""All servers together: proxy, Entra, the vault, control."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web

from .assertions import Assertions, FetchKeys
from .book import Book
from .clock import Clock
from .control_app import ControlApp
from .directory import Directory, signing_key
from .entra import Entra
from .errors import Refused, Unanswered
from .faults import Faults
from .proxy import Proxy
from .records import Identity, Where
from .store import Store
from .vault import ZONE, Vault

LOGIN_HOST = "login.microsoftonline.com"
_GRACE = 0.5


@dataclass(frozen=True)
class Settings:
    """The servers' settings: `folder` stores their state, the certificate is for both hosts."""

    tenant: str
    vault: str
    folder: Path
    certificate: Path
    key: Path
    listen: tuple[str, int] = ("127.0.0.1", 0)
    control: tuple[str, int] = ("127.0.0.1", 0)


class VaultServer:
    """All servers; use it as an async context manager. `proxy` and `control` are addresses."""

    def __init__(self, settings: Settings, fetch: FetchKeys) -> None:
        self._settings = settings
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.clock = Clock()
        self.faults = Faults()
        self.book = Book()
        self.store = Store(settings.folder / "secrets.json", self.clock)
        key = signing_key(settings.folder / "signing.key")
        self.directory = Directory(settings.tenant, self.clock, key)
        assertions = Assertions(fetch, self.clock)
        self._entra = Entra(self.directory, assertions, self.faults, self.book)
        self._vault = Vault(settings.vault, self.store, self.directory, self.faults, self.book)
        self._runners: list[web.AppRunner] = []
        self._proxy: Proxy | None = None
        self.proxy = ""
        self.control = ""

    def seed(self, identities: list[Identity], secrets: dict[str, str]) -> None:
        """Add these identities and secrets; existing secrets keep their value."""
        for identity in identities:
            self.directory.put(identity)
        there = {secret.name for secret in (*self.store.live(), *self.store.gone())}
        for name, value in secrets.items():
            if name not in there:
                self.store.set(name, value)

    async def __aenter__(self) -> Self:
        azure = await self._run(self._azure())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        context.set_alpn_protocols(["http/1.1"])
        self._proxy = Proxy(azure, context, self._reach)
        self.proxy = await self._proxy.start(*self._settings.listen)
        app = ControlApp(self.clock, self.faults, self.book, self.directory).app()
        control = await self._run(app)
        await web.TCPSite(control, *self._settings.control).start()
        host, port, *_ = control.addresses[0]
        self.control = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._proxy is not None:
            await self._proxy.stop()
        for runner in self._runners:
            await runner.cleanup()

    async def _run(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=_GRACE
        )
        await runner.setup()
        self._runners.append(runner)
        return runner

    def _azure(self) -> web.Application:
        app = web.Application(client_max_size=2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        host = request.host.removesuffix(":443").lower()
        try:
            if host == LOGIN_HOST:
                return await self._entra.answer(request)
            if host == f"{self._settings.vault}{ZONE}":
                return await self._vault.answer(request)
        except Refused as error:
            return error.response()
        except Unanswered:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("closed by the fault") from None
        raise web.HTTPMisdirectedRequest(text=f"There is no host {host} here.")

    def _reach(self, host: str) -> bool | None:
        where: Where
        match host.lower():
            case "login.microsoftonline.com":
                where = "token"
            case name if name == f"{self._settings.vault}{ZONE}":
                where = "vault"
            case _:
                return None
        return not self.faults.unreachable(where)
