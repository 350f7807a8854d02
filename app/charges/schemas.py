"""What crosses the HTTP border for charges."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from app.api.schemas import (
    Amount,
    AmountOrZero,
    CardId,
    ChargeId,
    Count,
    Currency,
    MerchantId,
    Model,
    ProductId,
    Reason,
    Reference,
    StoreId,
    Time,
    json_integer,
    text,
)
from app.cards.domain import CardKind
from app.cards.schemas import MerchantShown
from app.charges import examples
from app.charges.answer import charge_answer
from app.charges.commands import PlaceCharge, UseLimits
from app.charges.domain import ChargeStatus, Echo, Use
from app.charges.part_schemas import (
    BalanceAfterRead,
    ConfirmationRead,
    DisputeRead,
    DrawRead,
    ReversalRead,
)
from app.charges.service import code_hash
from app.ids import Prefix, new_id, parse
from app.money import Fen

if TYPE_CHECKING:
    from app.cards.directory import MerchantRef
    from app.charges.domain import Charge
    from app.policies.domain import Policies
    from app.writer.requests import RequestKey

_SESSIONS_MAX = 100
_BATCH_MAX = 1000
_SALT_BYTES = 16


def _json_true(value: object) -> object:
    """Accept `true` alone; 1 equals it, and is none."""
    if value is not True:
        raise ValueError("Input should be true")
    return value


Visit = Annotated[Literal[True], BeforeValidator(_json_true)]
Sessions = Annotated[int, Field(ge=1, le=_SESSIONS_MAX), BeforeValidator(json_integer)]
Description = Annotated[str, text(200), Field(examples=["剪发"])]
Code = Annotated[str, text(64), Field(examples=["7K3QXM0T9V2BCDEF"])]


class _UseFields(Model):
    """What is used: exactly one of an amount, sessions, a visit."""

    amount: Amount | None = None
    sessions: Sessions | None = None
    visit: Visit | None = None
    list_amount: AmountOrZero | None = Field(
        default=None, description="List price of the whole use, in fen; only with `amount`."
    )

    @model_validator(mode="after")
    def _one_use(self) -> Self:
        if sum(value is not None for value in (self.amount, self.sessions, self.visit)) != 1:
            raise ValueError("Give exactly one of amount, sessions and visit")
        if self.list_amount is not None and self.amount is None:
            raise ValueError("list_amount goes with amount only")
        return self


class ChargeCreate(_UseFields):
    """A use to charge, to the cards of a consumer who shows a code or is named by a card."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.USE]})

    store_id: StoreId
    consumer_code: Code | None = None
    card_id: CardId | None = None
    product_id: ProductId | None = None
    description: Description | None = None
    client_reference: Reference | None = None

    @model_validator(mode="after")
    def _one_consumer(self) -> Self:
        if (self.consumer_code is None) == (self.card_id is None):
            raise ValueError("Give exactly one of consumer_code and card_id")
        return self

    def to_command(
        self, *, merchant_no: int, request: RequestKey | None, policies: Policies
    ) -> PlaceCharge:
        """Say it to the writer, with every new id and random byte.

        Raises:
            NotFound: An id that cannot be anything of this service.
        """
        described = self.description is not None
        return PlaceCharge(
            merchant_no=merchant_no,
            request=request,
            charge_id=new_id(merchant_no),
            confirmation_id=new_id(merchant_no),
            store_id=parse(Prefix.STORE, self.store_id),
            use=Use(
                None if self.amount is None else Fen(self.amount),
                self.sessions,
                visit=self.visit is not None,
            ),
            code_hash=None if self.consumer_code is None else code_hash(self.consumer_code),
            card_id=None if self.card_id is None else parse(Prefix.CARD, self.card_id),
            product_id=None if self.product_id is None else parse(Prefix.PRODUCT, self.product_id),
            list_amount=None if self.list_amount is None else Fen(self.list_amount),
            description=self.description,
            text_salt=secrets.token_bytes(_SALT_BYTES) if described else None,
            client_reference=self.client_reference,
            limits=UseLimits(
                policies.code_use_amount,
                policies.code_day_amount,
                policies.pending_lifetime_seconds,
                policies.pending_per_card,
            ),
        )


class ChargeConfirm(_UseFields):
    """What the consumer saw and confirms: it must be what the charge says."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ECHO]})

    store_id: StoreId

    def to_echo(self) -> Echo:
        """Say it in the domain's terms.

        Raises:
            NotFound: The store's id cannot be one.
        """
        return Echo(
            parse(Prefix.STORE, self.store_id),
            None if self.amount is None else Fen(self.amount),
            self.sessions,
            self.visit,
            None if self.list_amount is None else Fen(self.list_amount),
        )


class ReasonBody(Model):
    """Why, in the caller's words; may be left out."""

    reason: Reason | None = None


_ITEMS = WithJsonSchema(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": _BATCH_MAX,
        "items": {"$ref": "#/components/schemas/ChargeCreate"},
    }
)


class BatchCreate(Model):
    """Charges with a verdict each. An item's own fields are judged in its verdict."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BATCH]})

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=_BATCH_MAX), _ITEMS]

    @model_validator(mode="after")
    def _references(self) -> Self:
        references = [item.get("client_reference") for item in self.items]
        if not all(isinstance(reference, str) and reference for reference in references):
            raise ValueError("Every item needs a client_reference")
        if len(set(map(str, references))) != len(references):
            raise ValueError("Each client_reference may stand in one item only")
        return self


class ChargeRead(Model):
    """One use."""

    id: ChargeId
    status: ChargeStatus
    merchant_id: MerchantId
    store_id: StoreId
    kind: CardKind
    amount: Amount | None
    sessions: Count | None
    visit: bool | None
    list_amount: AmountOrZero | None
    currency: Currency
    release_amount: AmountOrZero | None = Field(description="What it moves to the merchant.")
    draws: list[DrawRead]
    confirmation: ConfirmationRead | None
    expires_at: Time | None
    balance: BalanceAfterRead
    reversal: ReversalRead | None
    dispute: DisputeRead | None
    description: str | None
    client_reference: str | None
    created_at: Time
    confirmed_at: Time | None

    @classmethod
    def from_domain(cls, charge: Charge, merchant: MerchantRef) -> Self:
        """Show a charge to its merchant."""
        return cls.model_validate(charge_answer(charge, merchant, to_consumer=False))


class ConsumerChargeRead(ChargeRead):
    """One use, as its consumer sees it."""

    merchant: MerchantShown

    @classmethod
    def from_domain(cls, charge: Charge, merchant: MerchantRef) -> Self:
        """Show a charge to its consumer."""
        return cls.model_validate(charge_answer(charge, merchant, to_consumer=True))


class VerdictRead(Model):
    """What became of one item."""

    index: int
    client_reference: str
    status: Literal[201, 404, 409, 422]
    charge: ChargeRead | None
    problem: dict[str, Any] | None


class BatchRead(Model):
    """Verdicts in the order of the items."""

    data: list[VerdictRead]
