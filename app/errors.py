"""What can be refused, said in the domain's terms; HTTP statuses live in `app/api/problems.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class DomainError(Exception):
    """Something that was asked for is refused; nothing has changed.

    `code` is the contract's name for it; `members` are the typed facts that the answer
    carries beside the sentence.
    """

    code: str
    storable: ClassVar[bool] = False
    """Whether a money command keeps this refusal under its idempotency key (a 409)."""

    def __init__(self, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members: Mapping[str, object] = members


class StateRefusal(DomainError):
    """The request is sound, but what it names is in a state that does not allow it (409)."""

    storable = True


class DeadlinePassed(StateRefusal):
    """The time in which this could be done is over."""

    code = "deadline_passed"


class NotFound(DomainError):
    """There is no such thing for this caller: unknown, malformed or somebody else's."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is no such thing, or it is not yours to see.")


class Unauthenticated(DomainError):
    """The credential is missing, unknown, expired or revoked."""

    code = "unauthenticated"

    def __init__(
        self, detail: str = "Send a valid credential in the Authorization header."
    ) -> None:
        super().__init__(detail)


class Forbidden(DomainError):
    """The caller is known, but may not do this."""

    code = "forbidden"

    def __init__(self, detail: str = "Your credential does not allow this call.") -> None:
        super().__init__(detail)


class MalformedJson(DomainError):
    """The body is not JSON that this service reads."""

    code = "malformed_json"


class IdempotencyKeyRequired(DomainError):
    """A POST that has an effect came without an idempotency key."""

    code = "idempotency_key_required"

    def __init__(self) -> None:
        super().__init__(
            "Send an Idempotency-Key header of 1 to 255 visible characters; "
            "repeat it when you repeat the request."
        )


class IdempotencyKeyReused(DomainError):
    """The key was used before for a different request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request; nothing was done. "
            "Use a new key for a new request."
        )


class IdempotencyKeyInFlight(DomainError):
    """The same request is being worked on."""

    code = "idempotency_key_in_flight"

    def __init__(self) -> None:
        super().__init__("The same request is being worked on; repeat it with the same key.")


class BodyTooLarge(DomainError):
    """The body is larger than this call reads."""

    code = "body_too_large"


class RateLimited(DomainError):
    """Too many failed attempts from this caller."""

    code = "rate_limited"


class Overloaded(DomainError):
    """The service has more waiting than it can answer in time; nothing was done."""

    code = "overloaded"

    def __init__(self) -> None:
        super().__init__("Too much is waiting; nothing was done. Repeat with the same key.")


class DatabaseUnavailable(DomainError):
    """The database did not answer in time; whether the request took effect is unknown."""

    code = "database_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The database did not answer. Repeat with the same Idempotency-Key: "
            "if the request took effect, you get its answer, else it is done then."
        )


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: where (a JSON pointer) and what."""

    pointer: str
    message: str


class InvalidRequest(DomainError):
    """Fields are missing, unknown or outside their limits."""

    code = "invalid_request"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("The request has fields that cannot be accepted; see errors.")
        self.errors = errors


class StoredRefusal(DomainError):
    """A refusal given before under the same idempotency key, given again."""

    def __init__(self, code: str, detail: str, members: Mapping[str, object]) -> None:
        super().__init__(detail, **members)
        self.code = code
