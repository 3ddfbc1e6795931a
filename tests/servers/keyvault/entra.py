"""login.microsoftonline.com, as far as the credentials of azure-identity use it."""

from aiohttp import web

from . import errors
from .assertions import Assertions
from .book import Book
from .directory import AUDIENCES, LOGIN, Directory
from .errors import Refused, Unanswered
from .faults import Faults
from .records import Identity

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# The fields that msal and the Go library send; any other is an error, so that we notice new ones.
_FIELDS = {
    "client_id",
    "client_assertion",
    "client_assertion_type",
    "client_secret",
    "client_info",
    "claims",
    "grant_type",
    "scope",
}


class Entra:
    """Discovery and the token endpoint."""

    def __init__(
        self, directory: Directory, assertions: Assertions, faults: Faults, book: Book
    ) -> None:
        self._directory = directory
        self._assertions = assertions
        self._faults = faults
        self._book = book

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to the host."""
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["common", "discovery", "instance"]:
                return self._instance(request)
            case "GET", [tenant, "v2.0", ".well-known", "openid-configuration"]:
                return self._configuration(request, tenant)
            case "GET", [_, "discovery", "v2.0", "keys"]:
                return web.json_response(self._directory.keys())
            case "POST", [tenant, "oauth2", "v2.0", "token"]:
                return await self._token(request, tenant)
        code = f"{request.method} {request.path}"
        self._book.add("token", "unknown", 404, code=code, client=_client(request))
        raise web.HTTPNotFound(text=f"The test server for Entra does not support {code}.")

    def _instance(self, request: web.Request) -> web.Response:
        self._book.add("token", "discovery", 200, client=_client(request))
        names = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com"]
        return web.json_response(
            {
                "tenant_discovery_endpoint": self._url("v2.0/.well-known/openid-configuration"),
                "api-version": request.query.get("api-version", "1.1"),
                "metadata": [
                    {"preferred_network": names[0], "preferred_cache": names[1], "aliases": names}
                ],
            }
        )

    def _configuration(self, request: web.Request, tenant: str) -> web.Response:
        self._check_tenant(tenant)
        self._book.add("token", "discovery", 200, client=_client(request))
        return web.json_response(
            {
                "token_endpoint": self._url("oauth2/v2.0/token"),
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": self._url("discovery/v2.0/keys"),
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": self._url("v2.0"),
                "authorization_endpoint": self._url("oauth2/v2.0/authorize"),
                "device_authorization_endpoint": self._url("oauth2/v2.0/devicecode"),
            }
        )

    async def _token(self, request: web.Request, tenant: str) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        identity = self._directory.identities.get(form.get("client_id", ""))
        name = identity.name if identity else ""
        try:
            await self._faults.strike("token", name)
            self._check_tenant(tenant)
            audience = _audience(form)
            await self._check(identity, form)
        except (Refused, Unanswered) as error:
            status = error.status if isinstance(error, Refused) else 0
            code = error.code if isinstance(error, Refused) else "cut"
            self._book.add(
                "token", "token", status, identity=name, code=code, client=_client(request)
            )
            raise
        assert identity is not None
        self._book.add("token", "token", 200, identity=name, client=_client(request))
        return web.json_response(self._directory.issue(identity, audience))

    async def _check(self, identity: Identity | None, form: dict[str, str]) -> None:
        if identity is None:
            message = f"Application with identifier '{form.get('client_id')}' was not found."
            raise errors.entra(700016, message, error="unauthorized_client", status=400)
        if "client_assertion" in form:
            if form.get("client_assertion_type") != _JWT_BEARER:
                raise _invalid("client_assertion_type")
            await self._assertions.check(identity, form["client_assertion"])
        elif "client_secret" in form:
            self._directory.check_secret(identity, form["client_secret"])
        else:
            message = "The request body must contain 'client_assertion' or 'client_secret'."
            raise errors.entra(7000218, message)

    def _check_tenant(self, tenant: str) -> None:
        if tenant.lower() != self._directory.tenant.lower():
            message = f"Tenant '{tenant}' not found."
            raise errors.entra(90002, message, error="invalid_request", status=400)

    def _url(self, path: str) -> str:
        return f"{LOGIN}/{self._directory.tenant}/{path}"


def _audience(form: dict[str, str]) -> str:
    """Return the audience of the token. Raises Refused."""
    if unknown := set(form) - _FIELDS:
        raise _invalid(", ".join(sorted(unknown)))
    if form.get("grant_type") != "client_credentials":
        message = f"The grant type '{form.get('grant_type')}' is not supported."
        raise errors.entra(70003, message, error="unsupported_grant_type", status=400)
    # Clients may add scopes that have no effect here (openid profile offline_access).
    wanted = [scope for scope in form.get("scope", "").split() if scope.endswith("/.default")]
    for scope in wanted:
        if (audience := scope.removesuffix("/.default")) in AUDIENCES:
            return audience
    message = (
        f"The provided value for the input parameter 'scope' is not valid: {form.get('scope')}."
    )
    raise errors.entra(70011, message, error="invalid_scope", status=400)


def _invalid(what: str) -> Refused:
    message = f"The request body holds a parameter that is not valid: {what}."
    return errors.entra(900144, message, error="invalid_request", status=400)


def _client(request: web.Request) -> str:
    return request.headers.get("User-Agent", "")
