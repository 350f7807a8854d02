"""Generated calls against the contract: what it allows is served, what it forbids is refused.

`EXAMPLES=200 pytest tests/contract/test_schemathesis.py -s` tries harder and prints the counts.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# The types of schemathesis are generic in what it does not say.

import asyncio
import os
import re
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, cast

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.access.principals import Role
from app.api.protocol import BoundedProtocol
from tests.contract.rows import ROWS, Row, credential
from tests.contract.world import Headers, World

EXAMPLES: Final = int(os.environ.get("EXAMPLES", "6"))
"""Of each kind, right and wrong, for each operation."""

_ID: Final = re.compile(r"\b([a-z]{3,4})_[0-7][0-9a-hjkmnp-tv-z]{25}\b")
_ID_PATTERN: Final = re.compile(r"\^([a-z]{3,4})_\[0-7\]")
_CLOCK: Final = "/v1/sandbox/clock/advance"


_RULE: Final = re.compile(
    "no cursor of this list|years 2000 to 2199|20 years ahead|should be printable"
    "|character that can be seen"
    "|key of role|Consumers have tokens|Required for a|Does not apply to this kind"
    "|Must be the licensed name|new licensed name|in the name that was to be paid"
    "|in the name of the payer"
    "|time of day|whole number|true or false|division code|in the past|leave a gap"
    "|add up to too much|same everywhere|named twice|no Saturday|another year|to somebody else"
)
"""What is said of one field, but rests on another or on what a schema cannot say."""


@dataclass
class Seeded:
    """What one operation is called with."""

    row: Row
    headers: Headers
    path: str
    body: object


@dataclass
class Found:
    """What came of all calls."""

    statuses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failures: dict[str, str] = field(default_factory=dict[str, str])


@asynccontextmanager
async def _listening(world: World) -> AsyncGenerator[str, None]:
    """Serve the world's service on a real socket; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(world.served, http=BoundedProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


async def test_the_service_keeps_its_contract(world: World) -> None:
    contract = await world.got("/openapi.json")
    seeds = {(row.method, row.path): await _seed(world, row) for row in ROWS.values()}
    known = _ids_in([(seed.path, seed.body) for seed in seeds.values()])
    _name_what_there_is(contract, known)

    async with _listening(world) as address:
        found = await asyncio.to_thread(_try_everything, contract, address, seeds)

    for operation, statuses in found.statuses.items():
        print(f"{operation:60} {_shown(statuses)}")  # noqa: T201  # the run's report
    assert not found.failures, "\n".join(f"{name}\n{said}" for name, said in found.failures.items())
    # A row that promises none says why; whoever makes it possible changes the row.
    not_yet = {str(row) for row in ROWS.values() if row.status >= 400}
    assert {name for name, seen in found.statuses.items() if not seen["2xx"]} == not_yet
    assert set(found.statuses) == {str(row) for row in ROWS.values()}


async def _seed(world: World, row: Row) -> Seeded:
    path, body = await row.prepare(world, world.a)
    return Seeded(row, credential(world, row, world.a), path, body)


def _ids_in(things: object) -> Mapping[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for match in _ID.finditer(str(things)):
        found[match.group(1)].add(match.group())
    return {prefix: sorted(ids) for prefix, ids in found.items()}


def _name_what_there_is(contract: dict[str, Any], known: Mapping[str, list[str]]) -> None:
    """Let generated requests name ids that exist; answers keep their own schemas."""
    components = contract["components"]["schemas"]
    for calls in contract["paths"].values():
        for call in calls.values():
            _narrow(call.get("parameters", []), components, known)
            _narrow(call.get("requestBody", {}), components, known)


def _narrow(part: Any, components: dict[str, Any], known: Mapping[str, list[str]]) -> None:
    for schema in _schemas(part, components, set()):
        match = _ID_PATTERN.match(str(schema.get("pattern", "")))
        if match is not None and match.group(1) in known:
            schema["enum"] = known[match.group(1)]


def _schemas(part: Any, components: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for item in part:
            yield from _schemas(item, components, seen)
    elif isinstance(part, dict):
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            yield from _schemas(components[name], components, seen | {name})
        yield part
        for item in part.values():
            yield from _schemas(item, components, seen)


def _try_everything(
    contract: dict[str, Any], address: str, seeds: Mapping[tuple[str, str], Seeded]
) -> Found:
    found = Found()

    def trials_of(document: dict[str, Any]) -> list[Trial]:
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=address)
        results = cast("Iterator[Any]", schema.get_all_operations())
        operations = [result.ok() for result in results]
        return [Trial(one, seeds[one.method.upper(), one.path], found) for one in operations]

    trials = trials_of(contract)
    for trial in trials:
        # First of all, before generated calls have cancelled and declined what there is.
        trial.run(lambda trial=trial: trial.call(_own_case(trial.operation, trial.seed)))
    # Last the clock, which may go on by years: then nothing waits for anybody any more.
    for trial in sorted(trials, key=lambda trial: trial.operation.path == _CLOCK):
        trial.run(lambda trial=trial: trial.generate(GenerationMode.POSITIVE))
    for trial in trials_of(_without_credentials(contract)):
        # A call without any field cannot be sent wrongly.
        with suppress(Unsatisfiable):
            trial.run(lambda trial=trial: trial.generate(GenerationMode.NEGATIVE))
    return found


def _without_credentials(contract: dict[str, Any]) -> dict[str, Any]:
    """Let wrong calls have a right credential: without one, nothing else would be looked at."""
    copy = deepcopy(contract)
    for calls in copy["paths"].values():
        for call in calls.values():
            call.pop("security", None)
    return copy


@dataclass(frozen=True)
class Trial:
    """One operation on trial."""

    operation: Any
    seed: Seeded
    found: Found

    def run(self, what: Callable[[], None]) -> None:
        """Keep what fails; the other operations are tried all the same."""
        try:
            what()
        except FailureGroup as group:
            parts = [f"{type(one).__name__}: {one}" for one in group.exceptions]
            said = "\n".join([*parts, *getattr(group, "__notes__", ())])
            known = self.found.failures.setdefault(str(self.seed.row), "")
            self.found.failures[str(self.seed.row)] = f"{known}\n{said}".strip()

    def call(self, case: Any) -> None:
        headers = dict(self.seed.headers)
        response = case.call(headers=headers)
        self.found.statuses[str(self.seed.row)][f"{response.status_code // 100}xx"] += 1
        excluded = _not_meant_for(response)
        try:
            case.validate_response(response, headers=headers, excluded_checks=excluded)
        except FailureGroup as group:
            group.add_note(f"{case.as_curl_command()}\n{response.status_code} {response.text}")
            raise

    def generate(self, mode: GenerationMode) -> None:
        run = given(case=self.operation.as_strategy(generation_mode=mode))(self.call)
        settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)),
        )(run)()


def _own_case(operation: Any, seed: Seeded) -> Any:
    """Make the call that must succeed."""
    names = re.findall(r"{(\w+)}", operation.path)
    pattern = re.sub(r"{\w+}", "([^/?]+)", operation.path)
    path, _, query = seed.path.partition("?")
    match = re.fullmatch(pattern, path)
    assert match is not None, (pattern, seed.path)
    given_query = dict(pair.split("=") for pair in query.split("&") if pair)
    key = {"Idempotency-Key": f"own-{seed.row.method}-{abs(hash(seed.path))}"}
    options: dict[str, Any] = {"path_parameters": dict(zip(names, match.groups(), strict=True))}
    if seed.body is not None:
        options |= {"body": seed.body, "media_type": "application/json"}
    return operation.Case(query=given_query, headers=key, **options)


def _not_meant_for(response: Response) -> list[CheckFunction]:
    """Rules over several fields, and of the domain, are sentences; no schema says them."""
    if response.status_code == 406:
        return [positive_data_acceptance]
    if response.status_code != 422:
        return []
    errors = response.json().get("errors", [])
    if all(error["pointer"] == "" or _RULE.search(error["message"]) for error in errors):
        return [positive_data_acceptance]
    return []


def _shown(statuses: Counter[str]) -> str:
    return "  ".join(f"{kind} {statuses[kind]:4}" for kind in ("2xx", "4xx", "5xx"))


def test_a_regulator_and_a_wallet_have_no_calls_yet() -> None:
    assert {row.role for row in ROWS.values()}.isdisjoint({Role.REGULATOR, Role.WALLET})
