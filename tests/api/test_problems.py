"""What a refusal of fields says: where, and why, in our own words."""

import pytest
from pydantic import ValidationError

from app.api.problems import field_errors
from app.errors import FieldError
from app.refunds.schemas import RefundCreate


def test_a_rule_of_ours_is_told_as_we_say_it() -> None:
    with pytest.raises(ValidationError) as refused:
        RefundCreate.model_validate({"reason": "cooling_off", "amount": 1})

    errors = refused.value.errors(include_url=False)
    assert field_errors([dict(error) for error in errors]) == [
        FieldError("", "Echo amount, residue_amount and as_of of the preview together")
    ]
