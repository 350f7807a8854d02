"""A lean way to serve the few hot routes.

FastAPI spends 100-250 µs on a call: an exit stack, a tree of dependencies, a body field, a
response model. A use at the till is called thousands of times a second, and its decision
takes 10 µs. So a hot route is declared like every other, and marked:

    @router.post("/v1/charges", status_code=201, response_model=ChargeRead,
                 responses=problems(InsufficientBalance, ...))
    @lean
    async def create_charge(
        body: ChargeCreate, merchant: MerchantDep, request: IdempotencyDep, writer: WriterDep
    ) -> LeanResponse:
        ...
        return LeanResponse(201, answer_bytes)

The declaration makes the contract (body, answer, refusals). To serve it, `LeanRoute` looks at
the parameters once, at start: a body model, path texts, and the dependencies of
`app.api.dependencies`, nothing else. `LeanDispatcher` finds it before Starlette's router does;
a call that reaches it through the router runs the same code. Authentication, body reader,
validation and problems are those of all routes.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from fastapi import params
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import dependencies
from app.api.call import call_in
from app.api.problems import field_errors, render
from app.api.protocol import WHOLE_ANSWER
from app.api.reading import LARGE_BYTES, authenticate, read_body
from app.errors import DomainError, InvalidRequest

_MARK: Final = "__anxin_lean__"

Headers = tuple[tuple[bytes, bytes], ...]
REPLAYED: Final[Headers] = ((b"idempotency-replayed", b"true"),)

Endpoint = Callable[..., Awaitable["LeanResponse"]]
_Supply = Callable[[Request], Awaitable[object]]


class LeanResponse(NamedTuple):
    """An answer whose bytes are ready; `headers` beside type and length."""

    status: int
    body: bytes
    headers: Headers = ()


def lean(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint to be served lean."""
    setattr(endpoint, _MARK, True)
    return endpoint


def is_lean(endpoint: Callable[..., Any]) -> bool:
    """Say whether an endpoint is marked."""
    return getattr(endpoint, _MARK, False)


@dataclass(frozen=True, slots=True)
class LeanRoute:
    """An endpoint with what it needs, found out once."""

    path: str
    method: str
    endpoint: Endpoint
    body: tuple[str, type[BaseModel]] | None = None
    texts: tuple[str, ...] = ()
    supplies: tuple[tuple[str, _Supply], ...] = ()
    authenticated: bool = False
    segments: tuple[str | None, ...] = field(default=())

    @staticmethod
    def of(path: str, method: str, endpoint: Endpoint) -> "LeanRoute":
        """Look at an endpoint's parameters.

        Raises:
            TypeError: One of them is nothing that a lean route knows.
        """
        segments = tuple(
            None if segment.startswith("{") else segment for segment in path.split("/")
        )
        in_path = tuple(s[1:-1] for s in path.split("/") if s.startswith("{"))
        body: tuple[str, type[BaseModel]] | None = None
        supplies: list[tuple[str, _Supply]] = []
        hints = get_type_hints(endpoint, include_extras=True)
        for name in inspect.signature(endpoint).parameters:
            supply = _supply(hints[name])
            if supply is not None:
                supplies.append((name, supply))
            elif isinstance(hints[name], type) and issubclass(hints[name], BaseModel):
                body = (name, hints[name])
            elif name not in in_path:
                raise TypeError(f"{path}: a lean route cannot have the parameter {name}")
        authenticated = any(supply in dependencies.AUTHENTICATING for _, supply in supplies)
        return LeanRoute(
            path, method, endpoint, body, in_path, tuple(supplies), authenticated, segments
        )

    async def serve(self, scope: Scope, receive: Receive, texts: Mapping[str, str]) -> LeanResponse:
        """Run the endpoint; a refusal becomes its problem.

        The order is that of every route: credential, body, role and key, fields.
        """
        call = call_in(scope)
        call.route = self.path
        try:
            if self.authenticated:
                await authenticate(scope, call)
            await read_body(scope, receive, call, declared=self.body is not None)
            arguments: dict[str, object] = dict(texts)
            if self.supplies:
                request = Request(scope)
                for name, supply in self.supplies:
                    arguments[name] = await supply(request)
            if self.body is not None:
                name, model = self.body
                value = call.body.value
                arguments[name] = (
                    await asyncio.to_thread(_validated, model, value)
                    if len(call.raw) > LARGE_BYTES
                    else _validated(model, value)
                )
            return await self.endpoint(**arguments)
        except DomainError as error:
            problem = render(error, scope["path"])
            return LeanResponse(problem.status, problem.body, problem.headers)


def _supply(hint: object) -> _Supply | None:
    if get_origin(hint) is not Annotated:
        return None
    for mark in get_args(hint)[1:]:
        if isinstance(mark, params.Depends):
            function = mark.dependency
            assert function is not None
            if list(inspect.signature(function).parameters) != ["request"]:
                raise TypeError(f"a lean route cannot call the dependency {function}")
            return function
    return None


def _validated(model: type[BaseModel], value: object) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found: Sequence[Any] = error.errors(
            include_url=False, include_context=False, include_input=False
        )
        raise InvalidRequest(*field_errors(found)) from None


async def send_lean(answer: LeanResponse, send: Send) -> None:
    """Send an answer; a problem brings its own type and length."""
    own = {name for name, _ in answer.headers}
    headers = list(answer.headers)
    if b"content-type" not in own:
        headers.append((b"content-type", b"application/json"))
    if b"content-length" not in own:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send(
        {"type": WHOLE_ANSWER, "status": answer.status, "headers": headers, "body": answer.body}
    )


class LeanDispatcher:
    """Serves lean routes, and hands everything else on."""

    def __init__(self, app: ASGIApp, routes: Sequence[LeanRoute]) -> None:
        """Sort the routes: paths without texts are found by one look-up."""
        self._app = app
        self._exact = {(route.method, route.path): route for route in routes if not route.texts}
        self._patterns: dict[tuple[str, int], list[LeanRoute]] = {}
        for route in routes:
            if route.texts:
                key = (route.method, len(route.segments))
                self._patterns.setdefault(key, []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] == "http":
            found = self._find(scope["method"], scope["path"])
            if found is not None:
                route, texts = found
                await send_lean(await route.serve(scope, receive, texts), send)
                return
        await self._app(scope, receive, send)

    def _find(self, method: str, path: str) -> tuple[LeanRoute, Mapping[str, str]] | None:
        route = self._exact.get((method, path))
        if route is not None:
            return route, {}
        segments = path.split("/")
        for candidate in self._patterns.get((method, len(segments)), ()):
            texts = _match(candidate.segments, segments)
            if texts is not None:
                return candidate, dict(zip(candidate.texts, texts, strict=True))
        return None


def _match(pattern: Sequence[str | None], segments: Sequence[str]) -> list[str] | None:
    texts: list[str] = []
    for expected, segment in zip(pattern, segments, strict=True):
        if expected is None and segment:
            texts.append(segment)
        elif expected != segment:
            return None
    return texts
