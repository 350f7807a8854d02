"""A bank that pays refunds by the files that it takes, in a database of the test's own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.calendar import queries as calendar_queries
from app.calendar.current import CurrentCalendar
from app.calendar.domain import days_of
from app.calendar.official import official_years
from app.db.engine import Database
from app.db.signing import Ed25519Signer
from app.main import serving
from app.payment_files import cutting, results
from app.payment_files.domain import FileKind, PaymentFile, Reason, ReportedResult, ReportedStatus
from app.payment_files.parts import Parts
from app.refunds.rows import CardRefund
from tests.builder import SEALER, Trader, writing
from tests.cluster import DatabaseUrls


@dataclass(frozen=True, slots=True)
class Bank:
    """Pays what is in the files, or does not."""

    parts: Parts
    given: Trader

    async def cut(self, kind: FileKind = FileKind.REFUND) -> PaymentFile:
        """Take what waits into a file."""
        (file,) = (await cutting.cut(self.parts, kind, asked=None, request=None)).value
        return file

    async def says(
        self, file: PaymentFile, refund: CardRefund, status: str, reason: Reason | None = None
    ) -> None:
        """Report what became of a refund's order; its card is finished where it was paid."""
        async with self.parts.db.snapshot() as tx:
            order_id = await tx.value(
                "SELECT order_id FROM payment_order WHERE file_id = :file AND refund_id = :refund",
                file=file.file_id,
                refund=refund.refund_id,
            )
        assert isinstance(order_id, UUID)
        said = ReportedResult(order_id, ReportedStatus(status), reason, None)
        await results.report_results(self.parts, file.bank, file.file_id, [said], request=None)

    async def pays(self, *refunds: CardRefund) -> PaymentFile:
        """Cut a file and pay these refunds of it."""
        file = await self.cut()
        for refund in refunds:
            await self.says(file, refund, "paid")
        return file


@asynccontextmanager
async def banking(urls: DatabaseUrls) -> AsyncGenerator[Bank]:
    """Open a world with one bank; what happens in it is verified when its database goes."""
    db = Database.connect(urls.database_url)
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    await signer.publish(db)
    async with db.transaction() as tx:
        for plan in official_years():
            await calendar_queries.add_days(tx, days_of(plan))
    async with writing(urls.database_url) as writer:
        given = Trader(db, writer=writer)
        calendar = CurrentCalendar(db, provisional=True)
        serve = serving(writer)
        parts = Parts(db, SEALER, signer, calendar, given.current_policies, serve)
        yield Bank(parts, given)
    await db.close()
