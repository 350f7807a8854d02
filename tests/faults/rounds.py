"""How often a fault is injected, from which seed, and whether it landed.

`make faults ROUNDS=50 SEED=7`; `make test` does a round of each kind.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Final

ROUNDS: Final = int(os.environ.get("FAULT_ROUNDS") or 1)
_SEED: Final = int(os.environ.get("FAULT_SEED") or 0) or int.from_bytes(os.urandom(3), "big")
_LANDED_MIN: Final = 0.8
_AIMED: Final = 0.5
_FEW: Final = 5
"""Below so many rounds a share says nothing; then at least one must have landed."""


@dataclass(slots=True)
class Rounds:
    """The rounds of one kind of fault."""

    name: str
    count: int = ROUNDS
    done: int = 0
    landed: int = 0
    seed: ClassVar[int] = _SEED

    def __iter__(self) -> Iterator[Random]:
        """Give each round its own source of chance; the seed names the round again."""
        for number in range(self.count):
            print(f"{self.name}: round {number + 1} of {self.count}, seed {_SEED}", flush=True)
            yield Random(f"{self.name}/{_SEED}/{number}")
            self.done += 1

    def aims(self, random: Random) -> bool:
        """Say whether to wait for something that is under way; of few rounds each must land."""
        return self.count < _FEW or random.random() < _AIMED

    def land(self, *, landed: bool) -> None:
        """Note whether the fault of this round came into something that was under way."""
        self.landed += landed

    def close(self, told: str = "") -> None:
        """Say how it went, and refuse rounds that proved nothing."""
        print(f"{self.name}: {self.done} rounds, {self.landed} landed in flight. {told}")
        needed = self.done * _LANDED_MIN if self.done >= _FEW else 1
        assert self.landed >= needed, f"{self.name}: only {self.landed} of {self.done} landed"
