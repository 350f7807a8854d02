"""What the figures must be, in plain Python: nothing here was told by the service.

A shop's book is a handful of numbers, moved by the events of the demo as DOMAIN.md says.
"""

from collections import Counter
from dataclasses import dataclass, field


def half_up(numerator: int, denominator: int) -> int:
    """Divide two whole numbers that are not negative, and round half up."""
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(slots=True)
class ExpectedCard:
    """One card. Its released part is always a function of the uses that stand."""

    paid: int
    face: int = 0
    sessions: int = 0
    days: int = 0
    list_price: int = 0
    """Of one session."""
    face_used: int = 0
    sessions_used: int = 0
    last_visit_day: int = 0
    refunded: int = 0
    """Decided for its holder."""
    adjusted: int = 0
    """The rest, which is the shop's once the refund is paid."""

    @property
    def released(self) -> int:
        """Say how much of the payment the uses have earned."""
        if self.face:
            return half_up(self.paid * self.face_used, self.face)
        if self.sessions:
            return half_up(self.paid * self.sessions_used, self.sessions)
        return half_up(self.paid * self.last_visit_day, self.days)

    @property
    def left(self) -> int:
        return self.paid - self.released - self.refunded - self.adjusted

    @property
    def is_over(self) -> bool:
        """Say whether a refund has closed it."""
        return bool(self.refunded or self.adjusted)

    @property
    def of_a_change_of_mind(self) -> int:
        """Say what its holder gets who wants out: the sessions used cost their list price."""
        return max(0, min(self.paid - self.sessions_used * self.list_price, self.left))

    def spend(self, amount: int) -> int:
        """Use an amount (negative: take the use back); give what it moves."""
        before = self.released
        self.face_used += amount
        return self.released - before

    def without(self, amount: int) -> "ExpectedCard":
        """Give the card as it would be without a use of this amount."""
        return ExpectedCard(self.paid, face=self.face, face_used=self.face_used - amount)

    def attend(self, sessions: int) -> int:
        """Use sessions (negative: take the use back); give what it moves."""
        before = self.released
        self.sessions_used += sessions
        return self.released - before

    def visit(self, day: int) -> int:
        """Visit on this day of the term, day 1 being the day of payment; give what it moves."""
        before = self.released
        self.last_visit_day = max(self.last_visit_day, day)
        return self.released - before


@dataclass(slots=True)
class ExpectedBook:
    """One shop's money: in custody on one side, whom it belongs to on the other."""

    accounts: Counter[str] = field(default_factory=Counter[str])
    waiting: list[int] = field(default_factory=list[int])
    received: int = 0
    paid_out: int = 0
    given_back: int = 0

    def __getitem__(self, account: str) -> int:
        return self.accounts[account]

    def _move(self, source: str, target: str, amount: int) -> None:
        self.accounts[source] -= amount
        self.accounts[target] += amount

    def _receive(self, account: str, amount: int) -> None:
        self.accounts["custody"] += amount
        self.accounts[account] += amount

    def _leave(self, account: str, amount: int) -> None:
        self.accounts["custody"] -= amount
        self.accounts[account] -= amount

    def fund(self, amount: int) -> None:
        self.received += amount
        self._receive("card", amount)

    def receive_in_suspense(self, amount: int) -> None:
        self.received += amount
        self._receive("suspense", amount)

    def match(self, amount: int) -> None:
        self._move("suspense", "card", amount)

    def give_back(self, amount: int) -> None:
        self._move("suspense", "refund_payable", amount)

    def earn(self, amount: int) -> None:
        """Book a confirmed use; reversals that wait are served first, oldest first, whole."""
        self._move("card", "merchant_payable", amount)
        self._serve()

    def set_aside(self, amount: int) -> None:
        """Book a dispute: what the use moved is nobody's until it is decided."""
        self._move("merchant_payable", "release_disputed", amount)

    def uphold(self, amount: int) -> None:
        """Book a dispute that was upheld: the use is taken back with what was set aside."""
        self._move("release_disputed", "merchant_payable", amount)
        self._move("merchant_payable", "card", amount)

    def refund(self, amount: int) -> None:
        """Book a decided refund."""
        self._move("card", "refund_payable", amount)

    def take_back(self, amount: int) -> bool:
        """Book a reversal; give whether it could be done at once."""
        self.waiting.append(amount)
        return self._serve()

    def _serve(self) -> bool:
        while self.waiting and self.accounts["merchant_payable"] >= self.waiting[0]:
            self._move("merchant_payable", "card", self.waiting.pop(0))
        return not self.waiting

    def cut_release(self) -> int:
        """Put what is payable into a file, less what waits; give the order's amount."""
        amount = self.accounts["merchant_payable"] - sum(self.waiting)
        if amount > 0:
            self._move("merchant_payable", "release_in_transit", amount)
        return max(amount, 0)

    def release_paid(self, amount: int) -> None:
        self.paid_out += amount
        self._leave("release_in_transit", amount)

    def release_rejected(self, amount: int) -> None:
        self._move("release_in_transit", "merchant_payable", amount)
        self._serve()

    def release_returned(self, amount: int) -> None:
        self.paid_out -= amount
        self._receive("merchant_payable", amount)
        self._serve()

    def cut_refund(self) -> int:
        amount = self.accounts["refund_payable"]
        self._move("refund_payable", "refund_in_transit", amount)
        return amount

    def refund_paid(self, amount: int, rest: int = 0) -> None:
        """Book a refund that was paid; the rest of the card is then the shop's."""
        self.given_back += amount
        self._leave("refund_in_transit", amount)
        self.earn(rest)
