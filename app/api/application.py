"""The FastAPI application: routes one level deep, refusals as problems, a whole contract."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Match, Route

from app.api.call import call_of
from app.api.docs import add_docs
from app.api.errors import InternalFault, MethodNotAllowed, UnsupportedMediaType
from app.api.examples import add_examples
from app.api.lean import LeanRoute
from app.api.problems import Problem, Responses, field_errors, merge, problems, render
from app.api.routing import ApiRoute
from app.api.services import Services
from app.errors import DomainError, InvalidRequest, MalformedJson, NotFound

VERSION: Final = "1.0.0"
TITLE: Final = "Anxin"
DESCRIPTION: Final = (
    "Escrow for prepaid consumption: money paid in advance stays in custody and reaches the "
    "merchant one confirmed use at a time. Amounts are integers in fen."
)

_GZIP_BYTES_MIN: Final = 2048
_GZIP_LEVEL: Final = 4

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Services]]]
LifespanStates = AsyncIterator[Mapping[str, Services]]

_REFUSALS_OF_HTTP: Final[Mapping[int, type[DomainError]]] = {
    404: NotFound,
    405: MethodNotAllowed,
    415: UnsupportedMediaType,
}


def make_api(routers: Iterable[APIRouter], lifespan: Lifespan) -> FastAPI:
    """Make the application of these routers.

    Raises:
        ValueError: Two calls have the same name, so the contract could not name them.
    """
    api = FastAPI(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_name_of,
        exception_handlers={
            DomainError: _refused,
            HTTPException: _refused_by_http,
            RequestValidationError: _invalid,
            Exception: _failed,
        },
    )
    for router in routers:
        # Not include_router: routes of one level are matched in one pass, and keep their class.
        api.router.routes.extend(router.routes)
    _refuse_equal_names(routes_of(api))
    api.openapi = lambda: _contract(api)
    add_docs(api)
    api.add_middleware(GZipMiddleware, minimum_size=_GZIP_BYTES_MIN, compresslevel=_GZIP_LEVEL)
    return api


def routes_of(api: FastAPI) -> Sequence[APIRoute]:
    """Give every declared route."""
    return [route for route in api.routes if isinstance(route, APIRoute)]


def lean_routes_of(api: FastAPI) -> Sequence[LeanRoute]:
    """Give the hot routes."""
    found = (route.lean for route in routes_of(api) if isinstance(route, ApiRoute))
    return [route for route in found if route is not None]


def declare_refusals(
    api: FastAPI, endpoint: Callable[..., Any], *errors: type[DomainError]
) -> None:
    """Say in the contract what a call may refuse that its own module cannot know."""
    (route,) = (route for route in routes_of(api) if route.endpoint is endpoint)
    merged = merge(cast("Responses", route.responses), problems(*errors))
    route.responses = cast("dict[int | str, dict[str, Any]]", merged)


def _name_of(route: APIRoute) -> str:
    return route.name


def _refuse_equal_names(routes: Iterable[APIRoute]) -> None:
    seen: set[str] = set()
    for route in routes:
        if route.name in seen:
            raise ValueError(f"two calls are named {route.name}")
        seen.add(route.name)


def _problem(request: Request, error: DomainError) -> Response:
    problem = render(error, request.scope["path"])
    headers = {name.decode(): value.decode() for name, value in problem.headers}
    return Response(problem.body, problem.status, headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    return _problem(request, error)


async def _refused_by_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _REFUSALS_OF_HTTP.get(error.status_code)
    refusal = MalformedJson("The request cannot be read.") if kind is None else kind()
    response = _problem(request, refusal)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    if isinstance(refusal, MethodNotAllowed):
        # The router names those of the first route that has the path; each method has its own.
        response.headers["allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> Sequence[str]:
    """Give all methods that the path has, in alphabetical order."""
    routes: Sequence[BaseRoute] = request.app.routes
    return sorted(
        method
        for route in routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _problem(request, InvalidRequest(*field_errors(_located(error.errors()))))


def _located(errors: Sequence[Any]) -> Iterable[Mapping[str, object]]:
    """Point into the body from its root; other places keep their name: `/query/limit`."""
    for error in errors:
        location: tuple[int | str, ...] = error["loc"]
        yield {**error, "loc": location[1:] if location[:1] == ("body",) else location}


async def _failed(request: Request, _error: Exception) -> Response:
    """Answer a bug; the front, to which it is raised again, logs it."""
    assert call_of(request)
    return _problem(request, InternalFault())


def _contract(api: FastAPI) -> dict[str, Any]:
    if api.openapi_schema is None:
        contract = FastAPI.openapi(api)
        components = contract.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"))
        schemas["Problem"] = problem
        components["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "bearerFormat": "ak_…"},
            "consumer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        }
        _forget_default_refusal(contract)
        add_examples(contract)
        api.openapi_schema = contract
    return api.openapi_schema


def _forget_default_refusal(contract: dict[str, Any]) -> None:
    """Take out FastAPI's 422, which this service never gives: its own is a problem."""
    for calls in contract["paths"].values():
        for call in calls.values():
            given = call["responses"].get("422", {}).get("content", {})
            if "application/json" in given and "application/problem+json" not in given:
                del call["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        contract["components"]["schemas"].pop(name, None)
