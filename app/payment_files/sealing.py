"""Seal a file: number, totals, bytes, digest, signature and a checkpoint of the books.

The bytes are not stored. They are made again from the orders whenever they are asked for, and
handed out only if they have the stored digest: so there is no second copy of every payee's
account in clear text, and a changed order shows before a bank executes it.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from app.db.engine import BULK_PATIENCE_SECONDS, Database, Transaction
from app.db.sealing import Sealer
from app.ledger.checkpoints import Signer, take_checkpoint
from app.payment_files import cut_queries, order_queries, queries
from app.payment_files.cut_queries import Seal
from app.payment_files.domain import FileKind, PaymentFile
from app.payment_files.order_queries import SealedOrder
from app.payment_files.queries import FileRow
from app.payment_files.rendering import Heading, csv_v1


class FileChanged(Exception):
    """A file's rows no longer give the bytes that were signed: someone changed them."""


async def seal(db: Database, sealer: Sealer, signer: Signer, file_id: UUID) -> PaymentFile | None:
    """Seal a file whose orders are all there; None where there is nothing to seal.

    Its number is taken in the same transaction, so that no number is lost. Of two processes
    that seal at once, the second finds it done.
    """
    async with db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx:
        file = await queries.find_file(tx, file_id, lock=True)
        if file is None or file.is_sealed:
            return None
        orders = await order_queries.orders_of_file(tx, file_id)
        if not orders:
            await cut_queries.drop_file(tx, file_id)
            return None
        sequence = await cut_queries.next_sequence(tx, file.bank, FileKind(file.kind))
        content = await _render(file._replace(sequence=sequence), orders, sealer)
        counts = await order_queries.count_orders(tx, file_id)
        await cut_queries.seal_file(
            tx,
            file_id,
            Seal(
                sequence=sequence,
                order_count=counts.orders,
                total_amount=counts.total_amount,
                sha256=sha256(content).digest(),
                signature=signer.sign(content),
                key_id=signer.key_id,
            ),
        )
        await take_checkpoint(tx, signer)
        sealed = await queries.find_file(tx, file_id)
    assert sealed is not None
    return sealed.sealed()


async def content_of(tx: Transaction, sealer: Sealer, file: FileRow) -> bytes:
    """Make a sealed file's bytes again.

    Raises:
        FileChanged: They are not those that were signed.
    """
    content = await _render(file, await order_queries.orders_of_file(tx, file.file_id), sealer)
    if sha256(content).digest() != file.sha256:
        raise FileChanged(f"payment file {file.file_id}")
    return content


async def _render(file: FileRow, orders: Sequence[SealedOrder], sealer: Sealer) -> bytes:
    assert file.sequence is not None
    heading = Heading(
        file.file_id, FileKind(file.kind), file.bank, file.business_date, file.sequence
    )
    # Opening 100,000 payees takes about a second, in which other calls go on.
    return await asyncio.to_thread(
        lambda: csv_v1(heading, [order.opened(sealer) for order in orders])
    )
