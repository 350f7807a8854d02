"""Check a card's places in its merchant's hash chain (`app/ledger/chain.py`).

Between two of a card's entries lie those of others, which are not shown. So what is proven of
the chain is each entry itself, each pair that lies side by side, and that no movement of the
card's account was left out: its versions have no gap.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from app.cards.statement import CardEntryKind
from app.evidence.faults import Faults
from app.evidence.life_schemas import OF_LIFE
from app.evidence.line_schemas import EvidenceEntryRead, EvidenceLineRead
from app.evidence.reading import hex_of, line_hash, micros
from app.evidence.schemas import EvidenceRead
from app.ledger import chain, checkpoints
from app.ledger.chart import AccountType, account_id

_TRANSFER: Final = (
    *("merchant_no", "seq", "kind", "debit", "credit", "amount", "debit_version"),
    *("credit_version", "subject", "corrects_seq", "content_hash", "effective_at"),
    "recorded_at",
)
_FACT: Final = (
    *("merchant_no", "seq", "kind", "subject", "content_hash", "effective_at", "recorded_at"),
)
_LAYOUTS: Final = {len(_TRANSFER): _TRANSFER, len(_FACT): _FACT}

# From which of the merchant's accounts an entry of this kind moves money to the card, or to
# which from it.
_OTHER_SIDE: Final = {
    "purchase_funded": AccountType.CUSTODY,
    "receipt_matched": AccountType.SUSPENSE,
    "use_confirmed": AccountType.MERCHANT_PAYABLE,
    "use_reversed": AccountType.MERCHANT_PAYABLE,
    "refund_decided": AccountType.REFUND_PAYABLE,
    "refund_adjusted": AccountType.MERCHANT_PAYABLE,
    "refund_withheld": AccountType.REFUND_PAYABLE,
}
_KINDS: Final = {
    CardEntryKind.FUNDED: ("purchase_funded", "receipt_matched"),
    CardEntryKind.USED: ("use_confirmed",),
    CardEntryKind.REVERSED: ("use_reversed",),
    CardEntryKind.REFUNDED: ("refund_decided", "refund_withheld"),
    CardEntryKind.ADJUSTED: ("refund_adjusted",),
    CardEntryKind.TRANSFERRED: ("card_transferred",),
    **{kind: (f"card_{kind}",) for kind in OF_LIFE},
}
_SAYS: Final = "An entry's text says what its line says."
_LINKED: Final = "An entry's chain hash covers its text and the hash before it."


@dataclass(slots=True)
class _Account:
    """The card's account as the entries so far leave it."""

    version: int = 0
    balance: int = 0


def check_chain(evidence: EvidenceRead, faults: Faults) -> None:
    """Check every line's entry, and where the book and its checkpoint stood."""
    account = _Account()
    before: EvidenceLineRead | None = None
    for number, line in enumerate(evidence.lines):
        place = f"/evidence/lines/{number}"
        if line.entry is None:
            rule = "Every line has an entry in the chain."
            faults.add(f"{place}/entry", rule, expected=f"seq {line.seq}", found=None)
        else:
            _check_entry(evidence, line, line.entry, place, faults)
            _check_movement(evidence, line, account, place, faults)
            _check_link(evidence, line, before, place, faults)
        before = line
    _check_head(evidence, faults)


def _fields(entry: EvidenceEntryRead) -> dict[str, str]:
    fields = entry.text.split("|")
    return dict(zip(_LAYOUTS.get(len(fields), ()), fields, strict=False))


def _check_entry(
    evidence: EvidenceRead,
    line: EvidenceLineRead,
    entry: EvidenceEntryRead,
    place: str,
    faults: Faults,
) -> None:
    content = line_hash(evidence.terms.card_id, line)
    at_entry = f"{place}/entry"
    rule = "The content hash covers the line."
    faults.require_same(
        f"{at_entry}/content_hash", rule, expected=content, found=entry.content_hash
    )
    previous = bytes.fromhex(entry.previous_chain_hash or "")
    computed = sha256(previous + entry.text.encode()).hexdigest()
    faults.require_same(
        f"{at_entry}/chain_hash", _LINKED, expected=computed, found=entry.chain_hash
    )
    said = _fields(entry)
    kinds = _KINDS.get(line.kind)
    funded_at = evidence.terms.paid_at if line.kind is CardEntryKind.FUNDED else line.at
    for name, expected in (
        ("merchant_no", str(evidence.merchant.no)),
        ("seq", str(line.seq)),
        ("subject", hex_of(line.subject_id)),
        ("content_hash", entry.content_hash),
        ("recorded_at", micros(line.at)),
        ("effective_at", micros(funded_at) if kinds else said.get("effective_at")),
    ):
        rule = f"{_SAYS[:-1]}: {name}."
        faults.require_same(f"{at_entry}/text", rule, expected=expected, found=said.get(name))
    if kinds is not None:
        kind = said.get("kind")
        faults.require(f"{at_entry}/text", f"{_SAYS[:-1]}: kind.", kind, holds=kind in kinds)


def _check_movement(
    evidence: EvidenceRead, line: EvidenceLineRead, account: _Account, place: str, faults: Faults
) -> None:
    """Follow the card's account: what moves, what is left, and that nothing was left out."""
    assert line.entry is not None, "the caller looked"
    said, card = _fields(line.entry), hex_of(evidence.terms.card_id)
    moved = line.custody_amount - account.balance
    side, other = ("credit", "debit") if moved > 0 else ("debit", "credit")
    account.balance = line.custody_amount
    at_text = f"{place}/entry/text"
    if "debit" not in said:
        rule = "An entry without a transfer moves nothing."
        faults.require_same(at_text, rule, expected=0, found=moved)
        return
    account.version += 1
    expected = {
        side: card,
        "amount": str(abs(moved)),
        f"{side}_version": str(account.version),
    }
    opposite = _OTHER_SIDE.get(said["kind"])
    if opposite is not None:
        expected[other] = account_id(evidence.merchant.no, opposite).hex
    for name, value in expected.items():
        rule = f"A transfer moves what the line says, and none of the card's is left out: {name}."
        faults.require_same(at_text, rule, expected=value, found=said[name])


def _check_link(
    evidence: EvidenceRead,
    line: EvidenceLineRead,
    before: EvidenceLineRead | None,
    place: str,
    faults: Faults,
) -> None:
    """Check what lies just before an entry, where the document has it."""
    assert line.entry is not None, "the caller looked"
    known: str | None = None
    checkpoint = evidence.checkpoint
    if line.seq == 1:
        known = chain.genesis(evidence.merchant.no).hex()
    elif before is not None and before.entry is not None and before.seq == line.seq - 1:
        known = before.entry.chain_hash
    elif checkpoint is not None and checkpoint.seq == line.seq - 1:
        known = checkpoint.chain_hash
    if known is not None:
        at_link = f"{place}/entry/previous_chain_hash"
        found = line.entry.previous_chain_hash
        faults.require_same(at_link, _LINKED, expected=known, found=found)
    for name, head in (("head", evidence.head), ("checkpoint", checkpoint)):
        if head is not None and head.seq == line.seq:
            rule = "What was signed of this place in the chain is what the entry says."
            found = line.entry.chain_hash
            faults.require_same(
                f"/evidence/{name}/chain_hash", rule, expected=found, found=head.chain_hash
            )


def _check_head(evidence: EvidenceRead, faults: Faults) -> None:
    head, place = evidence.head, "/evidence/head"
    said = checkpoints.Head(evidence.merchant.no, head.seq, bytes.fromhex(head.chain_hash))
    faults.require_same(
        f"{place}/document",
        "The head's document says where the book stood when the evidence was issued.",
        expected=checkpoints.document([said], evidence.issued_at).decode(),
        found=head.document,
    )
    last = max((line.seq for line in evidence.lines), default=0)
    rule = "The book's head is not before its entries."
    faults.require(f"{place}/seq", rule, head.seq, holds=head.seq >= last)
    checkpoint = evidence.checkpoint
    if checkpoint is None:
        return
    place = "/evidence/checkpoint"
    rule = "A checkpoint was taken before the evidence."
    faults.require(f"{place}/seq", rule, checkpoint.seq, holds=checkpoint.seq <= head.seq)
    created_at = checkpoint.created_at
    in_time = created_at <= evidence.issued_at
    faults.require(f"{place}/created_at", rule, created_at, holds=in_time)
    if checkpoint.seq == head.seq:
        faults.require_same(
            f"{place}/chain_hash",
            "The head is what the checkpoint signed.",
            expected=head.chain_hash,
            found=checkpoint.chain_hash,
        )
