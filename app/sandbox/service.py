"""A sandbox that is ready to be used: principals, merchants that can sell, and its clock."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import structlog

from app import ids
from app.access import approvals
from app.access.domain import KeyRequest, secret_hash
from app.access.principals import Role
from app.access.queries import find_keys_by_secret
from app.access.service import insert_key
from app.access.tokens import LocalIssuer
from app.calendar.service import load_official_years
from app.card_products.service import create_product
from app.db.engine import Database
from app.db.sealing import Sealer
from app.errors import FieldError, InvalidRequest
from app.ids import Prefix
from app.merchants import service as merchants
from app.merchants.domain import (
    Industry,
    Merchant,
    NewCustodyAccount,
    NewMerchant,
    NewStore,
    PayeeDetails,
)
from app.merchants.payees import executors
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.sandbox import files
from app.sandbox.domain import (
    BANK,
    CONSUMER_ID,
    DISTRICT,
    OPERATOR,
    OPERATOR_2,
    PRODUCTS,
    ReadyMerchant,
    Sandbox,
    SandboxKeys,
)
from app.settings import SANDBOX_ISSUER, Settings
from app.writer.requests import RequestKey

_OFFSET_SECONDS_MAX: Final = 20 * 366 * 86_400

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class MerchantWish:
    """What a sandbox merchant should be like."""

    name: str
    industry: Industry
    district: str
    bank: str


@dataclass(frozen=True, slots=True)
class SandboxMaker:
    """Makes things without the steps that a real operator and bank would take."""

    settings: Settings
    db: Database
    sealer: Sealer
    policies: CurrentPolicies

    async def seed(self) -> Sandbox:
        """Make what `sandbox.json` names; doing it again gives the same."""
        await load_official_years(self.db, provisional=True)
        keys = files.keys_in(self.settings.data)
        wish = MerchantWish("安心健身西湖店", Industry.FITNESS, DISTRICT, BANK)
        merchant = await self._merchant(wish, "seed")
        await self._make_keys(keys, merchant)
        return self._sandbox(keys, merchant)

    async def another_merchant(self, wish: MerchantWish) -> Sandbox:
        """Make another merchant that can sell; the other principals are the seeded ones.

        A bank other than the seeded one gets a key of its own.
        """
        keys = files.keys_in(self.settings.data)
        merchant = await self._merchant(wish, secrets.token_hex(8))
        requests = {"merchant_key": _merchant_key(merchant)}
        if wish.bank != BANK:
            requests["bank_key"] = KeyRequest(
                role=Role.BANK, person_id=f"{wish.bank}-settlement", bank=wish.bank, sandbox=True
            )
        async with self.db.transaction() as tx:
            made = {name: await insert_key(tx, wanted) for name, wanted in requests.items()}
        own = replace(keys, **{name: issued.secret for name, issued in made.items()})
        return self._sandbox(own, merchant)

    def _sandbox(self, keys: SandboxKeys, merchant: ReadyMerchant) -> Sandbox:
        return Sandbox(
            base_url=self.settings.base_url,
            keys=keys,
            merchant=merchant,
            consumer_id=CONSUMER_ID,
            consumer_token=LocalIssuer.of(self.settings.data).mint(CONSUMER_ID),
        )

    async def _merchant(self, wish: MerchantWish, seed: str) -> ReadyMerchant:
        """Make a merchant; the same seed gives the same, by the stored requests."""
        digits = str(int.from_bytes(sha256(seed.encode()).digest()[:8], "big")).zfill(20)
        new = NewMerchant(
            name=wish.name,
            licence_number=f"9133{digits[-14:]}",
            industry=wish.industry,
            district=wish.district,
            payee=PayeeDetails(wish.name, f"6222{digits[-15:]}", "102331000012"),
        )
        made = await merchants.create_merchant(
            self.db, self.sealer, new, by=OPERATOR, request=_request(seed, "merchant")
        )
        merchant = made.value
        await self._approve_payee(merchant)
        store = await merchants.create_store(
            self.db,
            merchant.merchant_id,
            NewStore(wish.name, "杭州市西湖区文三路 1 号"),
            request=_request(seed, "store"),
        )
        custody = await merchants.create_custody_account(
            self.db,
            merchant.merchant_id,
            NewCustodyAccount(wish.bank, digits[-20:], f"{wish.name}预付资金托管专户"),
            request=_request(seed, "custody"),
        )
        return ReadyMerchant(
            merchant_id=ids.to_text(Prefix.MERCHANT, merchant.merchant_id),
            store_id=ids.to_text(Prefix.STORE, store.value.store_id),
            custody_account=custody.value.account_number,
            bank=custody.value.bank,
            products=await self._products(merchant, seed),
        )

    async def _approve_payee(self, merchant: Merchant) -> None:
        assert merchant.payee is not None
        assert merchant.payee.approval_id is not None
        await approvals.approve(
            self.db,
            executors(self.policies),
            merchant.payee.approval_id,
            person_id=OPERATOR_2,
            request=None,
        )

    async def _products(self, merchant: Merchant, seed: str) -> Mapping[str, str]:
        made = {
            new.kind: await create_product(
                self.db,
                self.policies,
                merchant.merchant_no,
                new,
                by=OPERATOR,
                request=_request(seed, new.kind),
            )
            for new in PRODUCTS
        }
        return {
            str(kind): ids.to_text(Prefix.PRODUCT, answer.value.product_id)
            for kind, answer in made.items()
        }

    async def _make_keys(self, keys: SandboxKeys, merchant: ReadyMerchant) -> None:
        """Let the seeded secrets count; those that already do are left alone."""
        wanted = {
            keys.operator_key: KeyRequest(role=Role.OPERATOR, person_id=OPERATOR, sandbox=True),
            keys.operator2_key: KeyRequest(role=Role.OPERATOR, person_id=OPERATOR_2, sandbox=True),
            keys.merchant_key: _merchant_key(merchant),
            keys.bank_key: KeyRequest(
                role=Role.BANK, person_id="bank-settlement", bank=BANK, sandbox=True
            ),
            keys.regulator_key: KeyRequest(
                role=Role.REGULATOR, person_id="regulator-1", sandbox=True
            ),
            keys.wallet_key: KeyRequest(
                role=Role.WALLET, person_id="wallet-backend", issuer=SANDBOX_ISSUER, sandbox=True
            ),
        }
        async with self.db.transaction() as tx:
            for secret, request in wanted.items():
                if not await find_keys_by_secret(tx, [secret_hash(secret)]):
                    await insert_key(tx, request, secret)


async def seed(settings: Settings, *, publish: bool = True) -> Sandbox:
    """Make what the sandbox starts with, and write `sandbox.json` unless told not to."""
    assert settings.database_url is not None
    assert settings.data_key is not None
    db = Database.connect(settings.database_url)
    try:
        sealer = Sealer.from_base64(settings.data_key.get_secret_value())
        policies = CurrentPolicies(db, Policies.from_settings(settings.policies))
        sandbox = await SandboxMaker(settings, db, sealer, policies).seed()
    finally:
        await db.close()
    if publish:
        files.publish(settings.data, sandbox)
    return sandbox


async def advance_clock(db: Database, seconds: int) -> datetime:
    """Move domain time forward in every process; give the new time.

    Raises:
        InvalidRequest: It would lie more than 20 years ahead of the real one.
    """
    async with db.transaction() as tx:
        offset = await tx.value(
            """
            INSERT INTO sandbox_clock (offset_seconds) VALUES (:seconds)
            ON CONFLICT (only_row) DO UPDATE
            SET offset_seconds = sandbox_clock.offset_seconds + excluded.offset_seconds
            RETURNING offset_seconds
            """,
            seconds=seconds,
        )
        assert isinstance(offset, int)
        if offset > _OFFSET_SECONDS_MAX:
            raise InvalidRequest(FieldError("/seconds", "Would lie more than 20 years ahead"))
        now = await tx.now()
    log.info("clock.advanced", seconds=seconds)
    return now


def _merchant_key(merchant: ReadyMerchant) -> KeyRequest:
    merchant_id: UUID = ids.parse(Prefix.MERCHANT, merchant.merchant_id)
    return KeyRequest(
        role=Role.MERCHANT, person_id="merchant-1", merchant_id=merchant_id, sandbox=True
    )


def _request(seed: str, step: str) -> RequestKey:
    """Name a step of seeding, so that doing it again finds what it made."""
    return RequestKey.of(
        tenant="sandbox", key=f"{seed}:{step}", fingerprint=sha256(step.encode()).digest()
    )
