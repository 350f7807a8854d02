"""The route class of every router: credential, then body, then FastAPI; and a whole contract."""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final, cast

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.api import dependencies
from app.api.call import call_of
from app.api.errors import RequestTimedOut, UnsupportedMediaType
from app.api.lean import LeanRoute, is_lean
from app.api.problems import Responses, merge, problems
from app.api.reading import authenticate, read_body
from app.errors import (
    BodyTooLarge,
    DatabaseUnavailable,
    DomainError,
    FieldError,
    Forbidden,
    IdempotencyKeyInFlight,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InvalidRequest,
    MalformedJson,
    Overloaded,
    RateLimited,
    Unauthenticated,
)

_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_OF_CREDENTIALS: Final = (Unauthenticated, Forbidden, RateLimited)
_OF_BODIES: Final = (
    BodyTooLarge,
    InvalidRequest,
    MalformedJson,
    RequestTimedOut,
    UnsupportedMediaType,
)
_OF_KEYS: Final = (IdempotencyKeyInFlight, IdempotencyKeyRequired, IdempotencyKeyReused)

_SECURITY: Final[dict[Callable[..., Any], list[dict[str, list[str]]]]] = {
    dependencies.consumer_of: [{"consumer": []}],
    dependencies.principal_of: [{"key": []}, {"consumer": []}],
}
_KEY_SECURITY: Final[list[dict[str, list[str]]]] = [{"key": []}]


class _ReadRequest(Request):
    """A request whose body was read before FastAPI asks for it."""

    async def body(self) -> bytes:
        return call_of(self).raw

    async def json(self) -> Any:
        return call_of(self).body.value


class ApiRoute(APIRoute):
    """A route that reads before FastAPI does, and declares what all routes of its kind refuse.

    Give it to a router: `APIRouter(prefix="/v1/…", route_class=ApiRoute)`.
    """

    lean: LeanRoute | None = None

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Make the route, then complete its contract."""
        super().__init__(path, endpoint, **options)
        calls = set(_calls(self.dependant))
        common = problems(*self._common_refusals(calls))
        declared = cast("Responses", self.responses)
        self.responses = cast("dict[int | str, dict[str, Any]]", merge(common, declared))
        self.openapi_extra = {**_extra(calls), **(self.openapi_extra or {})}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler, or replace it where the endpoint is lean."""
        if is_lean(self.endpoint):
            (method,) = self.methods or {"GET"}
            self.lean = LeanRoute.of(self.path, method, self.endpoint)
            return _lean_handler(self.lean)
        inner = super().get_route_handler()
        calls = set(_calls(self.dependant))
        authenticated = bool(calls & dependencies.AUTHENTICATING)
        reads_body = self._reads_body
        declared = self.body_field is not None
        queried = frozenset(_query_names(self.dependant))

        async def handle(request: Request) -> Response:
            call = call_of(request)
            call.route = self.path
            if authenticated:
                await authenticate(request.scope, call)
            if queried:
                _refuse_doubles(request, queried)
            if not reads_body:
                return await inner(request)
            await read_body(request.scope, request.receive, call, declared=declared)
            return await inner(_ReadRequest(request.scope, request.receive))

        return handle

    @property
    def _reads_body(self) -> bool:
        return not _BODY_METHODS.isdisjoint(self.methods or ())

    def _common_refusals(self, calls: set[Callable[..., Any]]) -> Iterator[type[DomainError]]:
        if calls & dependencies.AUTHENTICATING:
            yield from _OF_CREDENTIALS
            yield DatabaseUnavailable
        if self._reads_body:
            yield from _OF_BODIES
            yield Overloaded
        if any(_can_be_invalid(part) for part in (self.dependant, *_tree(self.dependant))):
            yield InvalidRequest
        if calls & {dependencies.request_key_of, dependencies.optional_request_key_of}:
            yield from _OF_KEYS


def api_router(prefix: str = "", *, tag: str) -> APIRouter:
    """Make a capability's router; its tag groups its calls in the contract."""
    return APIRouter(prefix=prefix, route_class=ApiRoute, tags=[tag])


def _lean_handler(route: LeanRoute) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def handle(request: Request) -> Response:
        texts = {name: str(value) for name, value in request.path_params.items()}
        answer = await route.serve(request.scope, request.receive, texts)
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        headers.setdefault("content-type", "application/json")
        return Response(answer.body, answer.status, headers)

    return handle


def _extra(calls: set[Callable[..., Any]]) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    required = dependencies.request_key_of in calls
    if required or dependencies.optional_request_key_of in calls:
        extra["parameters"] = [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": required,
                "description": "Repeat it when you repeat the request; it then acts once.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
                "example": "7f0c7c1e-5f0f-4f0e-9d37-0d5a4f6d3c11",
            }
        ]
    if calls & dependencies.AUTHENTICATING:
        found = [schemes for call, schemes in _SECURITY.items() if call in calls]
        extra["security"] = found[0] if found else _KEY_SECURITY
    return extra


def _query_names(dependant: Dependant) -> Iterator[str]:
    for part in (dependant, *_tree(dependant)):
        yield from (field.alias for field in part.query_params)


def _refuse_doubles(request: Request, names: frozenset[str]) -> None:
    """Refuse a filter given twice: which of two `status` counts must not be a guess."""
    given = Counter(name for name, _ in request.query_params.multi_items() if name in names)
    doubles = [name for name, times in given.items() if times > 1]
    if doubles:
        errors = (FieldError(f"/query/{name}", "Given more than once") for name in doubles)
        raise InvalidRequest(*errors)


def _can_be_invalid(dependant: Dependant) -> bool:
    """Say whether a value outside the body can be refused; an id in a path is not found."""
    typed = any(field.field_info.annotation is not str for field in dependant.path_params)
    return bool(typed or dependant.query_params or dependant.header_params)


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    for child in dependant.dependencies:
        yield child
        yield from _tree(child)


def _calls(dependant: Dependant) -> Iterator[Callable[..., Awaitable[object]]]:
    for child in _tree(dependant):
        if child.call is not None:
            yield child.call
