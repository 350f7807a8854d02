"""What access refuses beyond a missing or wrong credential."""

from app.errors import DomainError


class OwnProposal(DomainError):
    """The second person must be another one than the proposer, under whichever key."""

    code = "own_proposal"

    def __init__(self) -> None:
        super().__init__("You proposed this; another person has to decide it.")


class ApprovalDecided(DomainError):
    """The proposal was decided the other way before."""

    code = "approval_decided"

    def __init__(self, status: str) -> None:
        super().__init__(f"This was {status} before; a decision stands.", approval_status=status)
