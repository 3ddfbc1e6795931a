"""<name>.vault.azure.net: the REST API of secrets."""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from . import errors, parameters
from .book import Book
from .directory import Directory
from .errors import Refused, Unanswered
from .faults import Faults
from .store import RECOVERABLE_DAYS, Secret, Store, Version

ZONE = ".vault.azure.net"
_BODY = ("value", "contentType", "attributes", "tags")
_DAY = 86_400

Handler = Callable[[web.Request, str, str], Awaitable[web.Response]]


class Vault:
    """One vault. Each operation has the name used in `Book` and in Azure's documentation."""

    def __init__(
        self, name: str, store: Store, directory: Directory, faults: Faults, book: Book
    ) -> None:
        self.name = name
        self._store = store
        self._directory = directory
        self._faults = faults
        self._book = book
        # Method and form of the path: operation, required data action, handler.
        self._routes: dict[tuple[str, str], tuple[str, str, Handler]] = {
            ("GET", "secrets"): ("list", "readMetadata", self._list),
            ("PUT", "secrets/N"): ("set", "setSecret", self._set),
            ("GET", "secrets/N"): ("get", "getSecret", self._get),
            ("GET", "secrets/N/V"): ("get", "getSecret", self._get),
            ("PATCH", "secrets/N"): ("update", "update", self._update),
            ("PATCH", "secrets/N/V"): ("update", "update", self._update),
            ("DELETE", "secrets/N"): ("delete", "delete", self._delete),
            ("GET", "secrets/N/versions"): ("versions", "readMetadata", self._versions),
            ("GET", "deletedsecrets"): ("list deleted", "readMetadata", self._list_deleted),
            ("GET", "deletedsecrets/N"): ("get deleted", "readMetadata", self._get_deleted),
            ("DELETE", "deletedsecrets/N"): ("purge", "purge", self._purge),
            ("POST", "deletedsecrets/N/recover"): ("recover", "recover", self._recover),
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to the host."""
        form, name, version = _form(request.path)
        operation, action, handle = self._routes.get(
            (request.method, form), ("unknown", "", self._unknown)
        )
        who, status, code = "", 0, "hung up"
        try:
            # As in Azure: a request without a token only learns where to get one.
            if "Authorization" not in request.headers:
                operation = "challenge"
            identity = self._directory.bearer(request.headers.get("Authorization"))
            who = identity.name
            await self._faults.strike("vault", who, name)
            if name:
                parameters.check_name(name)
            if action:
                self._directory.authorize(identity, action, self.name, name)
            answer = await handle(request, name, version)
        except (Refused, Unanswered) as error:
            status = error.status if isinstance(error, Refused) else 0
            code = error.code if isinstance(error, Refused) else "cut"
            raise
        else:
            status, code = answer.status, ""
            return answer
        finally:
            client = request.headers.get("User-Agent", "")
            self._book.add(
                "vault", operation, status, identity=who, secret=name, code=code, client=client
            )

    async def _unknown(self, request: web.Request, _name: str, _version: str) -> web.Response:
        raise errors.vault(
            501,
            "NotImplemented",
            f"The test server for Key Vault does not support {request.method} {request.path}.",
        )

    async def _set(self, request: web.Request, name: str, _version: str) -> web.Response:
        parameters.check_query(request)
        sent = await parameters.body(request, *_BODY)
        secret, version = self._store.set(
            name, parameters.value_of(sent), **parameters.details_of(sent)
        )
        return self._bundle(secret, version)

    async def _get(self, request: web.Request, name: str, wanted: str) -> web.Response:
        """Return a version, even an expired or not yet valid one, but not a disabled one."""
        parameters.check_query(request)
        secret = self._store.get(name)
        version = secret.version(wanted)
        if not version.enabled:
            raise errors.disabled("get")
        return self._bundle(secret, version)

    async def _update(self, request: web.Request, name: str, wanted: str) -> web.Response:
        parameters.check_query(request)
        secret = self._store.get(name)
        version = secret.version(wanted)
        sent = await parameters.body(request, *_BODY[1:])
        for field, value in parameters.details_of(sent).items():
            setattr(version, field, value)
        self._store.touch(version)
        return web.json_response(self._item(secret, version, version.id))

    async def _delete(self, request: web.Request, name: str, _version: str) -> web.Response:
        parameters.check_query(request)
        return web.json_response(self._deleted(self._store.delete(name)))

    async def _versions(self, request: web.Request, name: str, _version: str) -> web.Response:
        parameters.check_query(request, "maxresults", "$skiptoken")
        secret = self._store.get(name)
        items = [self._item(secret, version, version.id) for version in secret.versions]
        return parameters.page(request, items, f"{self._id(name)}/versions")

    async def _list(self, request: web.Request, _name: str, _version: str) -> web.Response:
        parameters.check_query(request, "maxresults", "$skiptoken")
        items = [self._item(secret, secret.newest) for secret in self._store.live()]
        return parameters.page(request, items, f"https://{self.name}{ZONE}/secrets")

    async def _list_deleted(self, request: web.Request, _name: str, _version: str) -> web.Response:
        parameters.check_query(request, "maxresults", "$skiptoken")
        items = [self._deleted(secret) for secret in self._store.gone()]
        return parameters.page(request, items, f"https://{self.name}{ZONE}/deletedsecrets")

    async def _get_deleted(self, request: web.Request, name: str, _version: str) -> web.Response:
        parameters.check_query(request)
        return web.json_response(self._deleted(self._store.get_deleted(name)))

    async def _recover(self, request: web.Request, name: str, _version: str) -> web.Response:
        parameters.check_query(request)
        secret = self._store.recover(name)
        return web.json_response(self._item(secret, secret.newest, secret.newest.id))

    async def _purge(self, request: web.Request, name: str, _version: str) -> web.Response:
        parameters.check_query(request)
        self._store.purge(name)
        return web.Response(status=204)

    def _bundle(self, secret: Secret, version: Version) -> web.Response:
        item = self._item(secret, version, version.id)
        return web.json_response(text=json.dumps({"value": version.value, **item}))

    def _id(self, name: str) -> str:
        return f"https://{self.name}{ZONE}/secrets/{name}"

    def _item(self, secret: Secret, version: Version, shown: str = "") -> parameters.Json:
        attributes = {
            "enabled": version.enabled,
            "nbf": version.not_before,
            "exp": version.expires,
            "created": version.created,
            "updated": version.updated,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
        }
        item: parameters.Json = {
            "id": "/".join(filter(None, (self._id(secret.name), shown))),
            "attributes": {key: value for key, value in attributes.items() if value is not None},
            "tags": version.tags,
        }
        if version.content_type is not None:
            item["contentType"] = version.content_type
        return item

    def _deleted(self, secret: Secret) -> parameters.Json:
        assert secret.deleted is not None
        return {
            "recoveryId": f"https://{self.name}{ZONE}/deletedsecrets/{secret.name}",
            "deletedDate": secret.deleted,
            "scheduledPurgeDate": secret.deleted + RECOVERABLE_DAYS * _DAY,
            **self._item(secret, secret.newest, secret.newest.id),
        }


def _form(path: str) -> tuple[str, str, str]:
    """Return the form of PATH (secrets/N/V), the secret's name and the version in it."""
    room, name, rest = (*path.strip("/").split("/", 2), "", "", "")[:3]
    rest = rest.strip("/")
    if not name:
        return room, "", ""
    if not rest:
        return f"{room}/N", name, ""
    if rest in {"versions", "recover", "backup"}:
        return f"{room}/N/{rest}", name, ""
    return f"{room}/N/V", name, rest
