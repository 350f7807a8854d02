"""A case as the contract shows it, with what people wrote opened for those who may read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cases.rows import CaseKind
from app.ids import Prefix, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from app.cases.rows import CaseFile
    from app.db.sealing import Sealer

Answer = dict[str, object]


def case_answer(case: CaseFile, merchant_id: UUID, sealer: Sealer, *, named: bool) -> Answer:
    """Show a case; `named` with the person who answered for the merchant."""
    answer: Answer | None = None
    if case.answer_agree is not None:
        answer = {
            "agree": case.answer_agree,
            "text": _opened(sealer, case.answer_text),
            "at": case.answered_at,
            "by": case.answered_by if named else None,
        }
    decision: Answer | None = None
    if case.decision is not None:
        decision = {
            "decision": str(case.decision),
            "reason": _opened(sealer, case.decision_reason),
            "at": case.decided_at,
            "by": case.decided_by,
            "approval_id": _shown(Prefix.APPROVAL, case.approval_id),
        }
    return {
        "id": to_text(Prefix.CASE, case.case_id),
        "kind": str(case.kind),
        "status": str(case.status),
        "merchant_id": to_text(Prefix.MERCHANT, merchant_id),
        "card_id": _shown(Prefix.CARD, case.card_id),
        "charge_id": _shown(Prefix.CHARGE, case.charge_id),
        "refund_id": _shown(Prefix.REFUND, case.refund_id),
        "reason": case.reason or _opened(sealer, case.stated_reason),
        "text": _opened(sealer, case.text),
        "answer_due_on": case.answer_due_on,
        "answer": answer,
        "decision": decision,
        "used_amount": case.used_amount,
        "created_at": case.created_at,
    }


def without_words(answer: Mapping[str, object]) -> Answer:
    """Leave out what people wrote, where an answer is kept: it must be possible to erase it."""
    kept: Answer = {**answer, "text": None}
    if answer["kind"] == CaseKind.DISPUTE:
        kept["reason"] = None
    for part, words in (("answer", "text"), ("decision", "reason")):
        told = answer[part]
        if isinstance(told, dict):
            kept[part] = {**told, words: None}
    return kept


def _opened(sealer: Sealer, sealed: bytes | None) -> str | None:
    return None if sealed is None else sealer.open(sealed)


def _shown(prefix: Prefix, id_: UUID | None) -> str | None:
    return None if id_ is None else to_text(prefix, id_)
