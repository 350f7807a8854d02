"""API keys and approvals as the contract shows them."""

from typing import Annotated, Self

from pydantic import Field, JsonValue

from app import ids
from app.access.approvals import Approval, ApprovalStatus
from app.access.domain import ApiKey, IssuedKey, KeyRequest, Scope
from app.access.principals import Role
from app.access.service import key_facts
from app.api.schemas import ApprovalId, KeyId, MerchantId, Model, PersonId, StoreId, Time, text
from app.errors import FieldError, InvalidRequest
from app.ids import Prefix

KeyRole = Annotated[Role, Field(description="Whom the key stands for; consumers have none.")]
Narrowing = Annotated[list[Annotated[str, text(64)]], Field(min_length=1, max_length=200)]


class KeyCreate(Model):
    """Ask for an API key."""

    role: KeyRole
    person_id: PersonId
    merchant_id: MerchantId | None = None
    store_ids: Annotated[list[StoreId], Field(min_length=1, max_length=200)] | None = None
    bank: Annotated[str, text(64)] | None = None
    industries: Narrowing | None = None
    districts: Narrowing | None = None
    issuer: Annotated[str, text(255)] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=2)] | None = None
    expires_at: Time | None = None

    def to_domain(self) -> KeyRequest:
        """Say it in the service's own terms."""
        if self.role is Role.CONSUMER:
            raise InvalidRequest(FieldError("/role", "Consumers have tokens, not keys"))
        merchant = self.merchant_id
        stores = self.store_ids
        return KeyRequest(
            role=self.role,
            person_id=self.person_id,
            merchant_id=None if merchant is None else ids.parse(Prefix.MERCHANT, merchant),
            store_ids=None
            if stores is None
            else tuple(ids.parse(Prefix.STORE, store) for store in stores),
            bank=self.bank,
            industries=None if self.industries is None else tuple(self.industries),
            districts=None if self.districts is None else tuple(self.districts),
            issuer=self.issuer,
            scopes=None if self.scopes is None else tuple(self.scopes),
            expires_at=self.expires_at,
        )


class KeyRead(Model):
    """An API key. Its `secret` is shown once, when it is made, and is null ever after."""

    id: KeyId
    role: KeyRole
    person_id: str
    merchant_id: MerchantId | None
    store_ids: list[StoreId] | None
    bank: str | None
    industries: list[str] | None
    districts: list[str] | None
    issuer: str | None
    scopes: list[Scope] | None
    expires_at: Time | None
    revoked_at: Time | None
    created_at: Time
    secret: str | None

    @classmethod
    def from_domain(cls, key: ApiKey, secret: str | None = None) -> Self:
        """Show a key."""
        return cls.model_validate({**key_facts(key), "secret": secret})

    @classmethod
    def from_issued(cls, issued: IssuedKey) -> Self:
        """Show a key that was just made."""
        return cls.from_domain(issued.key, issued.secret)


class ApprovalRead(Model):
    """Something that two persons decide; `result` is the object that came of it."""

    id: ApprovalId
    action: str
    subject_id: str | None
    request: dict[str, JsonValue]
    status: ApprovalStatus
    proposed_by: str
    decided_by: str | None
    result: dict[str, JsonValue] | None
    created_at: Time

    @classmethod
    def from_domain(cls, approval: Approval) -> Self:
        """Show an approval."""
        return cls.model_validate(
            {
                "id": ids.to_text(Prefix.APPROVAL, approval.approval_id),
                "action": approval.action,
                "subject_id": approval.subject_id,
                "request": approval.request,
                "status": approval.status,
                "proposed_by": approval.proposed_by,
                "decided_by": approval.decided_by,
                "result": approval.result,
                "created_at": approval.created_at,
            }
        )
