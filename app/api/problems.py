"""The one catalogue of refusals and their statuses, and RFC 9457 problems made from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import Final, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from app.errors import DomainError, FieldError, StoredRefusal

PROBLEM_JSON: Final = "application/problem+json"

_CODES_BY_STATUS: Final[Mapping[int, str]] = {
    400: "malformed_json idempotency_key_required",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timed_out",
    409: (
        "idempotency_key_in_flight insufficient_balance card_not_active card_on_hold "
        "card_in_refund merchant_frozen product_not_on_sale product_ambiguous "
        "client_reference_used code_invalid code_expired code_used code_limit_exceeded "
        "too_many_pending charge_not_pending charge_not_confirmed charge_changed "
        "charge_disputed deadline_passed contract_changed purchase_not_awaiting_payment "
        "bank_reference_reused receipt_not_in_suspense calendar_not_covered file_mismatch "
        "file_already_downloaded refund_in_progress refund_not_allowed refund_changed "
        "closure_in_progress closure_state own_proposal "
        # Beyond the contract's list: what approvals, cases, onboarding and policies need.
        "approval_decided case_state already_exists policy_overlaps policy_date_passed "
        "transfer_not_open hold_not_active"
    ),
    413: "body_too_large",
    415: "unsupported_media_type",
    422: (
        "invalid_request idempotency_key_reused charge_kind_mismatch product_terms_refused "
        "ceiling_exceeded order_not_in_file card_kind_mismatch"
    ),
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_fault",
    503: "overloaded database_unavailable",
}

STATUS_BY_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {code: status for status, codes in _CODES_BY_STATUS.items() for code in codes.split()}
)

_RETRY_AFTER_SECONDS: Final[Mapping[str, int]] = {
    "idempotency_key_in_flight": 1,
    "rate_limited": 30,
    "overloaded": 1,
    "database_unavailable": 2,
}

# After these the rest of the body may still be on its way, so the connection cannot be used again.
_CLOSING: Final = frozenset({"body_too_large", "headers_too_large", "request_timed_out"})

_ERRORS_MAX: Final = 100
"""Wrong fields named in one answer; a body of thousands must not make an answer of thousands."""

_NOT_MEMBERS: Final = frozenset({"code", "detail", "members"})


class FieldErrorRead(BaseModel):
    """One wrong field."""

    pointer: str = Field(description="RFC 6901 pointer into the body, or `/query/…`, `/header/…`.")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem; a refusal's own facts stand beside these members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="What clients decide on; the sentence in `detail` may change.")
    errors: list[FieldErrorRead] = Field(
        default_factory=list[FieldErrorRead], description="Only with `invalid_request`."
    )


@dataclass(frozen=True, slots=True)
class RenderedProblem:
    """A problem ready to be sent."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


def status_of(error: DomainError) -> int:
    """Give the status of a refusal; a code without one is a bug that shows as 500."""
    return STATUS_BY_CODE.get(error.code, 500)


def members_of(error: DomainError) -> dict[str, object]:
    """Give the typed facts of a refusal: its public attributes and its members."""
    attributes = {
        name: value
        for name, value in vars(error).items()
        if name not in _NOT_MEMBERS and not name.startswith("_")
    }
    return {**attributes, **error.members}


def problem_of(error: DomainError, instance: str) -> dict[str, object]:
    """Say a refusal as a problem; used for answers and for the items of a batch alike."""
    status = status_of(error)
    problem: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        **members_of(error),
    }
    # A kept refusal is repeated to every retry under its key, so say how to try again.
    if status == HTTPStatus.CONFLICT and (error.storable or isinstance(error, StoredRefusal)):
        problem["retry_with"] = "new_key"
    return problem


def render(error: DomainError, instance: str) -> RenderedProblem:
    """Make the answer for a refusal: status, headers and body."""
    body = to_json(problem_of(error, instance), fallback=str)
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    seconds = _RETRY_AFTER_SECONDS.get(error.code)
    if seconds is not None:
        headers.append((b"retry-after", str(seconds).encode()))
    if error.code == "unauthenticated":
        headers.append((b"www-authenticate", b'Bearer realm="anxin"'))
    if isinstance(error, StoredRefusal):
        headers.append((b"idempotency-replayed", b"true"))
    if error.code in _CLOSING:
        headers.append((b"connection", b"close"))
    return RenderedProblem(status_of(error), body, tuple(headers))


Responses = dict[int | str, dict[str, object]]


def problems(*errors: type[DomainError]) -> Responses:
    """Declare what a route may refuse, for `responses=`; each with an example in the contract.

    What every route of its kind may refuse (no credential, a malformed body, a missing
    idempotency key) is added by `ApiRoute` itself.
    """
    responses: Responses = {}
    for error in sorted(set(errors), key=lambda error: error.code):
        status = STATUS_BY_CODE[error.code]
        response = responses.setdefault(
            status,
            {
                "description": HTTPStatus(status).phrase,
                "content": {
                    PROBLEM_JSON: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        _examples_of(response)[error.code] = _example(error)
    return responses


def merge(first: Responses, second: Responses) -> Responses:
    """Unite two declarations of refusals; both are left as they were."""
    merged: Responses = dict(first)
    for status, response in second.items():
        known = merged.get(status)
        if known is None or "content" not in known:
            merged[status] = response
        elif "content" in response:
            examples = {**_examples_of(known), **_examples_of(response)}
            schema = {"$ref": "#/components/schemas/Problem"}
            content = {PROBLEM_JSON: {"schema": schema, "examples": examples}}
            merged[status] = {**known, "content": content}
    return merged


def _examples_of(response: dict[str, object]) -> dict[str, object]:
    content = response["content"]
    assert isinstance(content, dict)
    return content[PROBLEM_JSON]["examples"]  # pyright: ignore[reportUnknownVariableType]


def _example(error: type[DomainError]) -> dict[str, object]:
    status = STATUS_BY_CODE[error.code]
    summary = (error.__doc__ or error.code).strip().splitlines()[0]
    value: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": summary,
        "instance": "/v1/…",
        "code": error.code,
    }
    if status == HTTPStatus.CONFLICT and error.storable:
        value["retry_with"] = "new_key"
    if error.code == "invalid_request":
        value["errors"] = [{"pointer": "/amount", "message": "Input should be a JSON integer"}]
    return {"summary": summary, "value": value}


def pointer_of(path: tuple[int | str, ...]) -> str:
    """Say where in the request a value lies, as an RFC 6901 pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def field_errors(errors: Iterable[Mapping[str, object]]) -> list[FieldError]:
    """Turn pydantic's errors into the contract's, without echoing any value.

    Unknown names come from the caller, so they are cut to a sane length.
    """
    found: list[FieldError] = []
    for error in islice(errors, _ERRORS_MAX):
        location = cast("tuple[int | str, ...]", error["loc"])
        steps = tuple(step if isinstance(step, int) else step[:100] for step in location)
        # What our own validators say is told as they say it.
        message = str(error["msg"]).removeprefix("Value error, ")
        found.append(FieldError(pointer_of(steps), message[:300]))
    return found
