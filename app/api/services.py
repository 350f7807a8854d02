"""What a process holds for all its requests; made by `main` when it starts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from app.access.approvals import Executor
from app.access.keys import KeyRing
from app.access.tokens import TokenVerifier
from app.db.engine import Database
from app.db.sealing import Sealer
from app.observability import Metrics
from app.settings import Settings
from app.writer.engine import Writer

if TYPE_CHECKING:
    from app.access.limits import FailureLimit
    from app.calendar.current import CurrentCalendar
    from app.cards.directory import MerchantDirectory
    from app.cases.conduct import Conducts
    from app.charges.batches import BatchShare
    from app.policies.current import CurrentPolicies
    from app.policies.domain import Policies


class Signer(Protocol):
    """Signs files and checkpoints with the service's Ed25519 key."""

    @property
    def key_id(self) -> str:
        """Name the key, as `/.well-known/anxin-keys.json` publishes it."""
        ...

    def sign(self, content: bytes) -> bytes:
        """Give the detached signature of the bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The long-lived parts of one process."""

    settings: Settings
    policies: "CurrentPolicies"
    """The capabilities' own values travel here; `app.api` itself never looks into them."""
    calendar: "CurrentCalendar"
    directory: "MerchantDirectory"
    metrics: Metrics
    db: Database
    writer: Writer
    keys: KeyRing
    tokens: TokenVerifier
    code_guesses: "FailureLimit"
    """Counts codes that no consumer showed, per merchant."""
    batch_share: "BatchShare"
    """Keeps one merchant's batches from filling the writer's queue."""
    signer: Signer
    sealer: Sealer
    serve_reversals: Callable[[int], Awaitable[None]]
    """Lets waiting reversals follow a credit to payable that the writer did not make."""
    conducts: "Conducts"
    """What carries out the steps of each kind of case."""
    executors: Mapping[str, Executor]
    """What happens on approval, by action."""

    async def policies_of(self, merchant_no: int) -> "Policies":
        """Give the policies in force today in the merchant's district; both are remembered.

        Raises:
            NotFound: There is no such merchant.
        """
        return await self.policies.policies_today(await self.directory.district_of(merchant_no))
