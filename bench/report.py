"""The table and the JSON of a run: medians over the rounds, with their spread."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.closure import ClosureRun
from bench.machine import Machine
from bench.measuring import Measured
from bench.plan import MARKED, TPCB


@dataclass(frozen=True, slots=True)
class Ratio:
    """A line of uses by code against the TPC-B peak of the same round."""

    name: str
    callers: int
    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that a run found."""

    command: str
    machine: Machine
    conditions: Mapping[str, object]
    rounds: Sequence[Sequence[Measured]]
    stored: Sequence[Measured]
    closure: ClosureRun | None
    verification: str
    findings: int

    @property
    def is_proved(self) -> bool:
        """Whether the ledger holds, and says what the answers said."""
        return self.findings == 0 and (self.closure is None or self.closure.findings == 0)

    def ratios(self) -> Sequence[Ratio]:
        """Compare each line of uses by code with the peak, round by round."""
        found: list[Ratio] = []
        for name, callers in dict.fromkeys(row.key for row in _marked(self.rounds[0])):
            values = [_rate(rows, name, callers) / _peak(rows) for rows in self.rounds]
            found.append(Ratio(name, callers, median(values), min(values), max(values)))
        return found

    def mark(self) -> Ratio:
        """Give the line that is best by its median; the best of each round would lean upwards."""
        return max(self.ratios(), key=lambda ratio: ratio.median)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        document = {
            "command": self.command,
            "machine": self.machine._asdict(),
            "conditions": self.conditions,
            "mark": asdict(self.mark()),
            "ratios_to_tpcb_peak": [asdict(ratio) for ratio in self.ratios()],
            "rounds": [[asdict(row) for row in rows] for rows in self.rounds],
            "stored_transfers": [asdict(row) for row in self.stored],
            "closure": None if self.closure is None else self.closure.facts(),
            "verification": self.verification,
        }
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def _ratio_table(self) -> Table:
        table = Table(title="use_by_code / TPC-B peak of the same round", title_justify="left")
        table.add_column("what")
        for heading in ("connections", "median", "least", "most"):
            table.add_column(heading, justify="right")
        for ratio in self.ratios():
            shown = (f"{value:.2f}" for value in (ratio.median, ratio.least, ratio.most))
            table.add_row(ratio.name, str(ratio.callers), *shown)
        return table

    def show(self, console: Console) -> None:
        """Print the tables."""
        machine = self.machine
        console.print(
            f"{machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, Postgres "
            f"{machine.postgres}, Python {machine.python}: {self.command}"
        )
        for name, value in self.conditions.items():
            console.print(f"  {name}: {value}", highlight=False)
        rows = [row for measured in self.rounds for row in measured]
        console.print(_table("Per second: median of the rounds (least-most)", rows))
        if self.stored:
            console.print(_table("With a longer history", self.stored))
        console.print(self._ratio_table())
        console.print(_said(self.mark()), highlight=False)
        if self.closure is not None:
            console.print(self.closure.said(), highlight=False)
        console.print(self.verification)


def _said(mark: Ratio) -> str:
    """Say the mark and which line it was taken from."""
    return (
        f"best use_by_code / TPC-B peak of the same round: {mark.median:.2f}"
        f" ({mark.least:.2f}-{mark.most:.2f}), by {mark.name} at {mark.callers}"
    )


def _table(title: str, rows: Sequence[Measured]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for heading in (
        "callers", "per s", "p50 ms", "p99 ms", "CPU service", "Postgres", "load",
        "µs CPU", "WAL B", "without images", "batch", "commit ms",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for key in dict.fromkeys(row.key for row in rows):
        same = [row for row in rows if row.key == key]
        table.add_row(key[0], str(key[1]), *_cells(same))
    return table


def _cells(rows: Sequence[Measured]) -> Sequence[str]:
    rates = [row.rate for row in rows]
    spread = f" ({min(rates):,.0f}-{max(rates):,.0f})" if len(rates) > 1 else ""
    return (
        f"{median(rates):,.0f}{spread}",
        _middle(rows, lambda row: row.p50_seconds, "{:.1f}", 1000),
        _middle(rows, lambda row: row.p99_seconds, "{:.1f}", 1000),
        _middle(rows, lambda row: row.service_cores, "{:.2f}"),
        _middle(rows, lambda row: row.postgres_cores, "{:.2f}"),
        _middle(rows, lambda row: row.load_cores, "{:.2f}"),
        _middle(rows, lambda row: row.cpu_micros, "{:,.0f}"),
        _middle(rows, lambda row: row.wal_bytes, "{:,.0f}"),
        _middle(rows, lambda row: row.wal_record_bytes, "{:,.0f}"),
        _middle(rows, lambda row: row.batch_size, "{:.1f}"),
        _middle(rows, lambda row: row.commit_seconds, "{:.2f}", 1000),
    )


def _middle(
    rows: Sequence[Measured],
    pick: Callable[[Measured], float | None],
    shape: str,
    factor: float = 1,
) -> str:
    values = [value for row in rows if (value := pick(row)) is not None]
    return shape.format(median(values) * factor) if values else ""


def _marked(rows: Sequence[Measured]) -> Sequence[Measured]:
    return [row for row in rows if row.name in MARKED]


def _peak(rows: Sequence[Measured]) -> float:
    return max(row.rate for row in rows if row.name == TPCB)


def _rate(rows: Sequence[Measured], name: str, callers: int) -> float:
    return next(row.rate for row in rows if row.key == (name, callers))
