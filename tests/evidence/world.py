"""A small world with a bit of everything: each kind of card, use and refusal, and bank files."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from os import urandom
from typing import Any, cast
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app import ids
from app.access import approvals
from app.access.principals import OperatorPrincipal
from app.calendar.current import CurrentCalendar
from app.calendar.service import load_official_years
from app.card_life.commands import (
    AcceptTransfer,
    FreezeCard,
    OfferTransfer,
    ReactivateCard,
    ReportLoss,
    TermCommand,
    UnfreezeCard,
)
from app.card_products.domain import CardKind
from app.cards.directory import MerchantRef
from app.cases.domain import Answer, Opening, words
from app.cases.rows import CaseKind
from app.charges.commands import (
    CancelCharge,
    ConfirmCharge,
    PlaceCharge,
    ReverseCharge,
    ServeReversals,
    UseLimits,
)
from app.charges.domain import Charge, Echo, Use
from app.closures import executing, upkeep
from app.closures import service as closures
from app.closures.domain import ClosureKind
from app.closures.preparing import Tools
from app.db.engine import Database
from app.db.signing import Ed25519Signer
from app.disputes.commands import OpenDispute, StepDispute
from app.holds import service as holds
from app.holds.domain import HoldTarget
from app.holds.service import NewHold
from app.ids import Prefix
from app.ledger.books import locked_books
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.payment_files.cutting import cut
from app.payment_files.domain import FileKind
from app.payment_files.parts import Parts
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.purchases.commands import Holder, OpenPurchase, RecordReceipt, ReturnReceipt
from app.purchases.domain import CoolingOff, Receipt, ReceiptStatus
from app.refunds.commands import Echo as Echoed
from app.refunds.commands import NewClaim, RequestRefund, TakeClaimStep
from app.refunds.domain import RefundReason
from app.refunds.errors import RefundChanged
from app.refunds.quoting import Rules
from app.registry import REGISTRY
from app.writer.engine import Writer
from tests.builder import APPROVER, PROPOSER, SEALER, Builder, Shop, a_key, unique

_LIMITS = UseLimits(Fen(200_00), Fen(500_00), 900, 3)
_DAY_SECONDS = 86_400
_AUTHORITY = OperatorPrincipal(ids.new_platform_id(), PROPOSER)


def make_writer(database_url: str) -> Writer:
    return Writer(database_url, REGISTRY)


@dataclass(slots=True)
class World:
    """One merchant and one consumer, and what they do."""

    db: Database
    writer: Writer
    shop: Shop
    holder: Holder = field(
        default_factory=lambda: Holder(uuid4(), "wallet-user-1", "https://wallet.example")
    )

    @property
    def no(self) -> int:
        return self.shop.merchant_no

    async def card(self, kind: CardKind, **product: object) -> UUID:
        """Sell a card of a new product and pay it."""
        sold = await Builder(self.db).product(self.shop.merchant, kind, **product)
        purchase_id = ids.new_id(self.no)
        opened = OpenPurchase(
            self.no,
            None,
            purchase_id,
            sold.product_id,
            self.shop.store.store_id,
            self.holder,
            sold.contract.sha256,
            _DAY_SECONDS,
        )
        await self.writer.submit(opened)
        return await self.receipt(sold.price_amount, purchase_id)

    async def receipt(self, amount: int, purchase_id: UUID | None = None) -> UUID:
        """Report money; give the card that it funds, or the receipt that lies in suspense."""
        receipt_id, card_id = ids.new_id(self.no), ids.new_id(self.no)
        at = await self.now()
        receipt = Receipt(
            self.no,
            receipt_id,
            ReceiptStatus.SUSPENSE,
            None,
            self.shop.custody_account.bank,
            unique("REF"),
            self.shop.custody_account.account_number,
            Fen(amount),
            "AX",
            SEALER.seal("李娜"),
            SEALER.seal("6222021234567891"),
            SEALER.index("李娜"),
            None,
            None,
            None,
            at,
            at,
        )
        await self.writer.submit(
            RecordReceipt(
                self.no, None, receipt, purchase_id, card_id, urandom(16), CoolingOff(7, None)
            )
        )
        return receipt_id if purchase_id is None else card_id

    async def give_back(self, receipt_id: UUID) -> None:
        await self.writer.submit(ReturnReceipt(self.no, None, receipt_id, ids.new_id(self.no)))

    async def charge(self, card_id: UUID, use: Use) -> Charge:
        """Let the POS charge; the charge waits."""
        placed = PlaceCharge(
            merchant_no=self.no,
            request=None,
            charge_id=ids.new_id(self.no),
            confirmation_id=ids.new_id(self.no),
            store_id=self.shop.store.store_id,
            use=use,
            code_hash=None,
            card_id=card_id,
            product_id=None,
            list_amount=None,
            description="剪发",
            text_salt=urandom(16),
            client_reference=None,
            limits=_LIMITS,
        )
        return await self._done(placed)

    async def confirm(self, charge: Charge) -> Charge:
        """Let the consumer confirm."""
        merchant = self.shop.merchant
        return await self._done(
            ConfirmCharge(
                self.no,
                None,
                charge.charge_id,
                ids.new_id(self.no),
                self.holder.consumer,
                Echo(
                    charge.store_id,
                    charge.amount,
                    charge.sessions,
                    charge.visit,
                    charge.list_amount,
                ),
                MerchantRef(self.no, merchant.merchant_id, merchant.name),
            )
        )

    async def use(self, card_id: UUID, use: Use) -> Charge:
        """Charge and confirm."""
        return await self.confirm(await self.charge(card_id, use))

    async def cancel(self, charge: Charge) -> Charge:
        return await self._done(CancelCharge(self.no, None, charge.charge_id, None))

    async def reverse(self, charge: Charge) -> Charge:
        return await self._done(ReverseCharge(self.no, None, charge.charge_id, None, "test", 90))

    async def dispute(self, charge: Charge) -> UUID:
        """Contest a use; give its case."""
        case_id, consumer = ids.new_id(self.no), self.holder.consumer
        salt = urandom(16)
        opening = Opening(
            merchant_no=self.no,
            case_id=case_id,
            kind=CaseKind.DISPUTE,
            consumer=consumer,
            stated_reason=words(b"sealed", "not_provided", salt),
            salt=salt,
            answer_due_on=None,
        )
        await self._done(
            OpenDispute(self.no, None, ids.new_id(self.no), charge.charge_id, consumer, opening, 90)
        )
        return case_id

    async def agree(self, charge: Charge, case_id: UUID) -> None:
        """Let the merchant agree with a dispute: the use is reversed."""
        answer = Answer(agree=True, text=None, by="chen.wei")
        await self.writer.submit(StepDispute(self.no, None, case_id, charge.charge_id, answer))

    async def refund(self, card_id: UUID) -> None:
        """Refund a card to one who changed their mind, as the refusal of no echo shows it."""
        echo: Echoed | None = None
        for _ in range(2):
            command = RequestRefund(
                self.no,
                None,
                ids.new_id(self.no),
                card_id,
                self.holder.consumer,
                RefundReason.CONSUMER_CHOICE,
                echo,
                Rules(None, unused_only=False, policy_version=0),
                None,
            )
            try:
                await self.writer.submit(command)
            except RefundChanged as changed:
                shown = cast("dict[str, Any]", changed.members["preview"])
                as_of = date.fromisoformat(shown["as_of"])
                echo = Echoed(shown["amount"], shown["residue_amount"], as_of)

    async def claim(self, card_id: UUID) -> UUID:
        """Claim that the card was sold to a minor; give its case."""
        case_id = ids.new_id(self.no)
        await self.writer.submit(
            RequestRefund(
                self.no,
                None,
                ids.new_id(self.no),
                card_id,
                self.holder.consumer,
                RefundReason.MINOR,
                None,
                Rules(None, unused_only=False, policy_version=0),
                None,
                NewClaim(case_id, urandom(16), None, None),
            )
        )
        return case_id

    async def admit(self, card_id: UUID, case_id: UUID) -> None:
        """Let the merchant agree with a claim."""
        answer = Answer(agree=True, text=None, by="chen.wei")
        await self.writer.submit(TakeClaimStep(self.no, None, case_id, card_id, answer))

    async def hold(self, target: HoldTarget, target_id: str, amount: int | None = None) -> UUID:
        """Place a hold; on a card, on the merchant's payable."""
        order = NewHold(
            target, target_id, None if amount is None else Fen(amount), "1234号", "财产保全", None
        )
        held = await holds.place_hold(
            self.db, self.writer, order, authority=_AUTHORITY, request=a_key()
        )
        return held.value.hold_id

    async def lift(self, hold_id: UUID) -> None:
        """Let two persons lift a hold."""
        proposed = await holds.propose_lift(self.db, hold_id, authority=_AUTHORITY, request=a_key())
        await approvals.approve(
            self.db,
            holds.executors(self.writer),
            proposed.value.approval_id,
            person_id=APPROVER,
            request=None,
        )

    async def step(self, step: type[TermCommand], card_id: UUID) -> None:
        """Take a step of a card's life, as its holder."""
        await self.writer.submit(step(self.no, None, card_id, self.holder.consumer))

    async def give(self, card_id: UUID, to: "World") -> None:
        """Offer a card to somebody, who accepts it."""
        giver, receiver, transfer_id = self.holder, to.holder, ids.new_id(self.no)
        await self.writer.submit(
            OfferTransfer(
                self.no,
                None,
                transfer_id,
                card_id,
                giver.consumer,
                giver.consumer_id,
                receiver.consumer,
                receiver.consumer_id,
                giver.issuer,
            )
        )
        await self.writer.submit(
            AcceptTransfer(self.no, None, transfer_id, card_id, receiver.consumer, urandom(16), 0)
        )

    async def serve_reversals(self) -> None:
        await self.writer.submit(ServeReversals(self.no))

    async def cut(self, kind: FileKind) -> None:
        await load_official_years(self.db, provisional=True)
        await cut(await self.parts(), kind, asked=None, request=None)

    async def close(self) -> None:
        """Close the merchant, whose custody a court has emptied."""
        async with self.db.transaction() as tx, locked_books(tx, [self.no]) as books:
            book = books[self.no]
            gone = book.balance(AccountType.CUSTODY)
            moved = Movement(book.own(AccountType.BANK_CLAIM), book.own(AccountType.CUSTODY), gone)
            book.append(Entry("custody_enforced", self.shop.merchant.merchant_id, moved))
        made = await closures.order_closure(
            self.db,
            self.shop.merchant.merchant_id,
            ClosureKind.IMMEDIATE,
            "停止营业",
            by=_AUTHORITY,
            request=a_key(),
        )
        closure_id = made.value.closure.closure_id
        proposed = await executing.propose_execution(
            self.db, closure_id, by=_AUTHORITY, request=a_key()
        )
        await approvals.approve(
            self.db,
            executing.EXECUTORS,
            proposed.value.approval_id,
            person_id=APPROVER,
            request=None,
        )
        # Shares are made in the first round, and the end is found in the second.
        for _ in range(2):
            await upkeep.carry_on(Tools(self.writer, await self.parts()))

    async def parts(self) -> Parts:
        signer = Ed25519Signer(Ed25519PrivateKey.generate())
        await signer.publish(self.db)

        async def serve(_: int) -> None:
            await self.serve_reversals()

        calendar = CurrentCalendar(self.db, provisional=True)
        policies = CurrentPolicies(self.db, Policies())
        return Parts(self.db, SEALER, signer, calendar, policies, serve)

    async def now(self) -> datetime:
        async with self.db.transaction() as tx:
            return await tx.now()

    async def _done(self, command: Any) -> Charge:
        outcome = await self.writer.submit(command)
        assert isinstance(outcome.result, Charge)
        return outcome.result


async def _live_on(giver: World, receiver: World) -> None:
    """Freeze cards, lose them, give them away and give them back frozen."""
    for steps in (
        (FreezeCard, UnfreezeCard),
        (FreezeCard, ReportLoss, ReactivateCard),
        (ReportLoss,),
    ):
        card_id = await giver.card(CardKind.PERIOD)
        for step in steps:
            await giver.step(step, card_id)
    given = await giver.card(CardKind.STORED_VALUE)
    await giver.use(given, Use(amount=Fen(10_00)))
    await giver.give(given, receiver)
    await receiver.use(given, Use(amount=Fen(20_00)))
    frozen = await receiver.card(CardKind.PERIOD)
    await receiver.step(FreezeCard, frozen)
    await receiver.refund(frozen)


async def live(world: World) -> None:
    """Do a bit of everything."""
    value = await world.card(CardKind.STORED_VALUE)
    second = await world.card(CardKind.STORED_VALUE, bonus_amount=Fen(0))
    count = await world.card(CardKind.COUNT)
    period = await world.card(CardKind.PERIOD)

    first = await world.use(value, Use(amount=Fen(33_33)))
    await world.use(value, Use(amount=Fen(1)))  # may well release nothing
    await world.use(second, Use(amount=Fen(700_00)))  # over two cards
    await world.use(count, Use(sessions=1))
    twice = await world.use(count, Use(sessions=2))
    await world.use(period, Use(visit=True))
    visit = await world.use(period, Use(visit=True))  # the same day again moves nothing
    await world.reverse(first)
    await world.reverse(visit)

    await world.charge(value, Use(amount=Fen(5_00)))  # waits
    await world.charge(count, Use(sessions=1))  # waits
    await world.cancel(await world.charge(value, Use(amount=Fen(7_00))))

    third = replace(world, holder=Holder(uuid4(), "wallet-user-3", "https://wallet.example"))
    contested = await third.card(CardKind.STORED_VALUE)
    await third.dispute(await third.use(contested, Use(amount=Fen(12_00))))
    wrong = await third.use(contested, Use(amount=Fen(6_00)))
    await third.agree(wrong, await third.dispute(wrong))

    await _live_on(
        replace(world, holder=Holder(uuid4(), "wallet-user-4", "https://wallet.example")),
        replace(world, holder=Holder(uuid4(), "wallet-user-5", "https://wallet.example")),
    )

    other = replace(world, holder=Holder(uuid4(), "wallet-user-2", "https://wallet.example"))
    await other.refund(await other.card(CardKind.STORED_VALUE))
    dear = await other.card(CardKind.STORED_VALUE, bonus_amount=Fen(900_00))
    await other.use(dear, Use(amount=Fen(600_00)))
    await other.claim(await other.card(CardKind.COUNT))
    minors = await other.card(CardKind.STORED_VALUE)
    await other.admit(minors, await other.claim(minors))
    await other.refund(dear)  # comes to nothing, so that it is finished at once

    merchant = ids.to_text(Prefix.MERCHANT, world.shop.merchant.merchant_id)
    await world.hold(HoldTarget.PAYABLE, merchant, 1)
    await world.lift(await world.hold(HoldTarget.PAYABLE, merchant))
    held = await other.card(CardKind.STORED_VALUE)
    await world.hold(HoldTarget.CARD, ids.to_text(Prefix.CARD, held))

    await world.receipt(12_34)  # stays in suspense
    await world.give_back(await world.receipt(43_21))
    await world.cut(FileKind.RELEASE)
    await world.reverse(twice)  # its money is in the file: it waits
    await world.use(count, Use(sessions=1))
    await world.cut(FileKind.REFUND)

    gone = replace(world, shop=await Builder(world.db).shop())
    await gone.card(CardKind.STORED_VALUE)
    await gone.close()
