"""What HTTP itself refuses, before any capability is asked."""

from app.errors import DomainError


class MethodNotAllowed(DomainError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"

    def __init__(self) -> None:
        super().__init__("This path has no such method; see Allow.")


class NotAcceptable(DomainError):
    """None of the media types asked for can be given."""

    code = "not_acceptable"


class UnsupportedMediaType(DomainError):
    """The body is not sent as JSON."""

    code = "unsupported_media_type"

    def __init__(self) -> None:
        super().__init__("Send the body as application/json in UTF-8.")


class RequestTimedOut(DomainError):
    """The body did not arrive in time; nothing was done."""

    code = "request_timed_out"

    def __init__(self) -> None:
        super().__init__("The body did not arrive in time; nothing was done.")


class HeadersTooLarge(DomainError):
    """Request line and headers together are larger than 16 KiB."""

    code = "headers_too_large"

    def __init__(self) -> None:
        super().__init__("Request line and headers may have 16 KiB together.")


class InternalFault(DomainError):
    """A bug of the service; the log knows it under the request id."""

    code = "internal_fault"

    def __init__(self) -> None:
        super().__init__(
            "The service failed; whether the request took effect is unknown. "
            "Repeat with the same Idempotency-Key, and name the X-Request-Id when you report it."
        )
