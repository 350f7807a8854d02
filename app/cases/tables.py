"""How decisions on cases find their rows."""

from typing import Any, Final

from app.cases.rows import CaseFile
from app.writer.tables import Index, Lookup, Table

CASES: Final = Table(
    "case_file",
    CaseFile,
    ("case_id",),
    (
        "status",
        "answer_due_on",
        "answer_agree",
        "answer_text",
        "answer_text_commitment",
        "answered_at",
        "answered_by",
        "decision",
        "decision_reason",
        "decision_reason_commitment",
        "used_amount",
        "decided_at",
        "decided_by",
        "approval_id",
    ),
)
CASES_OF_REFUND: Final = Index(CASES, ("refund_id",))
CASES_OF_CHARGE: Final = Index(CASES, ("charge_id",))

_JOIN: Final = "JOIN case_file ON case_file.merchant_no = need.merchant_no AND case_file."

CASE_BY_ID: Final = Lookup("case_by_id", CASES, ("uuid",), f"{_JOIN}case_id = need.v1")
CASES_WITH_CARD: Final = Lookup("cases_with_card", CASES, ("uuid",), f"{_JOIN}card_id = need.v1")
CASES_WITH_CHARGE: Final = Lookup(
    "cases_with_charge", CASES, ("uuid",), f"{_JOIN}charge_id = need.v1"
)

TABLES: Final[tuple[Table[Any], ...]] = (CASES,)
INDEXES: Final[tuple[Index[Any], ...]] = (CASES_OF_REFUND, CASES_OF_CHARGE)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (CASE_BY_ID, CASES_WITH_CARD, CASES_WITH_CHARGE)
