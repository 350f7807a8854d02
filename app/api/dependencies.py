"""What a handler may ask for, by annotated type.

A dependency supplies; it checks no business rule and opens no transaction. Each takes the
request alone, so that lean routes call the same functions.
"""

from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request, Response

from app.access.principals import (
    BankPrincipal,
    ConsumerPrincipal,
    MerchantPrincipal,
    OperatorPrincipal,
    Principal,
    RegulatorPrincipal,
    WalletPrincipal,
)
from app.api.call import call_of, header_in
from app.api.reading import authenticate
from app.api.services import Services
from app.db.engine import Database
from app.errors import Forbidden, IdempotencyKeyRequired
from app.writer.answers import Answered
from app.writer.engine import Writer
from app.writer.requests import RequestKey, StoredRequest

_KEY_LENGTH_MAX: Final = 255
_VISIBLE: Final = frozenset(range(0x21, 0x7F))

PrincipalT = TypeVar("PrincipalT", bound=Principal)


async def services_of(request: Request) -> Services:
    """Supply the long-lived parts of the process."""
    return call_of(request).services


async def database_of(request: Request) -> Database:
    """Supply the pool for calls that own their transaction."""
    return call_of(request).services.db


async def writer_of(request: Request) -> Writer:
    """Supply the writer."""
    return call_of(request).services.writer


async def principal_of(request: Request) -> Principal:
    """Supply the caller, whoever it is."""
    return await authenticate(request.scope, call_of(request))


async def _require(request: Request, role: type[PrincipalT]) -> PrincipalT:
    call = call_of(request)
    # Of a lean route the caller is known by now, and to ask again is a coroutine.
    principal = call.principal or await authenticate(request.scope, call)
    if not isinstance(principal, role):
        raise Forbidden
    return principal


async def operator_of(request: Request) -> OperatorPrincipal:
    """Supply the caller, a person of the platform."""
    return await _require(request, OperatorPrincipal)


async def merchant_of(request: Request) -> MerchantPrincipal:
    """Supply the caller, a merchant's POS or back office."""
    return await _require(request, MerchantPrincipal)


async def bank_of(request: Request) -> BankPrincipal:
    """Supply the caller, a bank's settlement job."""
    return await _require(request, BankPrincipal)


async def regulator_of(request: Request) -> RegulatorPrincipal:
    """Supply the caller, a regulator."""
    return await _require(request, RegulatorPrincipal)


async def authority_of(request: Request) -> OperatorPrincipal | RegulatorPrincipal:
    """Supply the caller, who may hold and close: a person of the platform, or a regulator."""
    principal = await authenticate(request.scope, call_of(request))
    if not isinstance(principal, OperatorPrincipal | RegulatorPrincipal):
        raise Forbidden
    return principal


async def back_office_of(request: Request) -> OperatorPrincipal | MerchantPrincipal:
    """Supply the caller, who works with cases: a person of the platform, or a merchant."""
    principal = await authenticate(request.scope, call_of(request))
    if not isinstance(principal, OperatorPrincipal | MerchantPrincipal):
        raise Forbidden
    return principal


async def wallet_of(request: Request) -> WalletPrincipal:
    """Supply the caller, a wallet's backend."""
    return await _require(request, WalletPrincipal)


async def consumer_of(request: Request) -> ConsumerPrincipal:
    """Supply the caller, a consumer."""
    return await _require(request, ConsumerPrincipal)


async def request_key_of(request: Request) -> RequestKey:
    """Supply the idempotency key in its caller's scope, with the request's fingerprint."""
    key = await optional_request_key_of(request)
    if key is None:
        raise IdempotencyKeyRequired
    return key


async def optional_request_key_of(request: Request) -> RequestKey | None:
    """Supply the idempotency key where one was sent."""
    raw = header_in(request.scope, b"idempotency-key")
    if raw is None:
        return None
    if not 1 <= len(raw) <= _KEY_LENGTH_MAX or not _VISIBLE.issuperset(raw):
        raise IdempotencyKeyRequired
    call = call_of(request)
    principal = call.principal or await authenticate(request.scope, call)
    return RequestKey.of(
        tenant=principal.tenant, key=raw.decode("ascii"), fingerprint=call.fingerprint
    )


ServicesDep = Annotated[Services, Depends(services_of)]
DatabaseDep = Annotated[Database, Depends(database_of)]
WriterDep = Annotated[Writer, Depends(writer_of)]

PrincipalDep = Annotated[Principal, Depends(principal_of)]
OperatorDep = Annotated[OperatorPrincipal, Depends(operator_of)]
MerchantDep = Annotated[MerchantPrincipal, Depends(merchant_of)]
BankDep = Annotated[BankPrincipal, Depends(bank_of)]
RegulatorDep = Annotated[RegulatorPrincipal, Depends(regulator_of)]
AuthorityDep = Annotated[OperatorPrincipal | RegulatorPrincipal, Depends(authority_of)]
BackOfficeDep = Annotated[OperatorPrincipal | MerchantPrincipal, Depends(back_office_of)]
WalletDep = Annotated[WalletPrincipal, Depends(wallet_of)]
ConsumerDep = Annotated[ConsumerPrincipal, Depends(consumer_of)]

IdempotencyDep = Annotated[RequestKey, Depends(request_key_of)]
OptionalIdempotencyDep = Annotated[RequestKey | None, Depends(optional_request_key_of)]

AUTHENTICATING: Final = frozenset(
    {
        principal_of,
        operator_of,
        merchant_of,
        bank_of,
        regulator_of,
        authority_of,
        back_office_of,
        wallet_of,
        consumer_of,
        request_key_of,
        optional_request_key_of,
    }
)
"""Dependencies that need a caller; a route with one of them asks for a credential first."""


def mark_replayed(response: Response, answer: Answered[object] | StoredRequest | None) -> None:
    """Say in the answer's headers that it repeats an earlier one.

    Takes what a service gave (`Answered`) or what an outcome of the writer replayed.
    """
    if isinstance(answer, Answered):
        if answer.replayed:
            response.headers["idempotency-replayed"] = "true"
    elif answer is not None:
        response.headers["idempotency-replayed"] = "true"
