"""What a dispute is asked with; the answer is the charge."""

from typing import Annotated

from pydantic import ConfigDict, Field

from app.api.schemas import Model, words
from app.disputes.service import Complaint

_REASON_MAX = 64
_TEXT_MAX = 2000
_Reason = Annotated[str, words(_REASON_MAX)]
_Text = Annotated[str, words(_TEXT_MAX)]


class DisputeCreate(Model):
    """Why the consumer contests a use."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "not_provided", "text": "当天没有剪发。"}]}
    )

    reason: _Reason = Field(
        description="A word for what is wrong, such as `not_provided` or `wrong_amount`;"
        " kept sealed."
    )
    text: _Text | None = Field(
        default=None, description="Whatever else there is to say; kept sealed."
    )

    def to_domain(self) -> Complaint:
        """Say it in the service's own terms."""
        return Complaint(self.reason, self.text)
