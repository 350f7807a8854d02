"""Texts that people state for others to read: something has to be in them."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.access.schemas import KeyCreate
from app.api.schemas import Model
from app.card_products.schemas import ExemptionModel
from app.cases.schemas import CaseAnswerCreate, CaseDecisionCreate
from app.charges.schemas import ReasonBody
from app.closures.schemas import ClosureCreate
from app.disputes.schemas import DisputeCreate
from app.holds.schemas import HoldCreate
from app.refunds.schemas import PayeeAccount, RefundCreate

HOLD = {"target": "payable", "target_id": "mch_1", "document_number": "执1号", "reason": "执行"}
EXEMPTION = {"legal_basis": "条例", "document_number": "1号"}
DISPUTE = {"reason": "not_provided", "text": "没有"}
DECISION = {"decision": "upheld", "reason": "录像"}
FACTS: list[tuple[type[Model], dict[str, Any], str]] = [
    (CaseAnswerCreate, {"agree": False, "text": "仍在营业"}, "text"),
    (CaseDecisionCreate, DECISION, "reason"),
    (ClosureCreate, {"kind": "immediate", "reason": "租约到期"}, "reason"),
    (DisputeCreate, DISPUTE, "reason"),
    (DisputeCreate, DISPUTE, "text"),
    (ExemptionModel, EXEMPTION, "legal_basis"),
    (ExemptionModel, EXEMPTION, "document_number"),
    (HoldCreate, HOLD, "document_number"),
    (HoldCreate, HOLD, "reason"),
    (KeyCreate, {"role": "operator", "person_id": "li.na"}, "person_id"),
    (PayeeAccount, {"holder_name": "王", "account_number": "62170000"}, "holder_name"),
    (ReasonBody, {"reason": "做错"}, "reason"),
    (RefundCreate, {"reason": "health", "text": "骨折"}, "text"),
]
UNSEEN = [
    *("\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\u0001", "\u0301", "\ufe0f"),
    *("\u2800", "\u3164", "\uffa0", "\u115f\u1160", "\U0001d159", "\U000e0041", "\ue000"),
    "\u200b \u2800\u00ad",
]


@pytest.mark.parametrize(("model", "body", "field"), FACTS)
@pytest.mark.parametrize("blank", ["", " ", "\u3000\t", "\u0000", *UNSEEN])
def test_a_stated_fact_is_not_blank(
    model: type[Model], body: dict[str, Any], field: str, blank: str
) -> None:
    assert getattr(model(**body), field) == body[field]

    with pytest.raises(ValidationError):
        model(**{**body, field: blank})


@pytest.mark.parametrize("seen", ["\u200b安", "1", "?", "€", "👍", "e\u0301", "\u2800.\u3164"])
def test_one_character_that_can_be_seen_is_enough(seen: str) -> None:
    assert ReasonBody(reason=seen).reason == seen
