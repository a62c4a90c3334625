"""What differs between the data of two commits, as typed values with a published JSON schema.

Terminal, page, comment and policy read these. Values depend on the commits alone: no time, no machine, no path.
"""

from typing import Any, Literal

from pydantic import Field

from tunegate.params import Closed
from tunegate.statistics.effect_sizes import Verdict

Severity = Literal["critical", "warning", "info"]


class Count(Closed):
    """How often something occurs, before and after."""

    name: str
    before: int
    after: int


class RowCounts(Closed):
    """Rows of one place before and after, and how one became the other."""

    name: str
    """`ingested`, or a split."""
    before: int
    after: int
    added: int
    removed: int
    edited: int


class RowSample(Closed):
    """A row of one side only; personal data in its texts is masked."""

    id: str
    split: str
    source: str
    question: str
    answer: str
    """Empty where there is none."""
    rejected: str | None = None
    """The answer that was not chosen, where there is one."""


class Words(Closed):
    """Words in a row that are on both sides, or on one."""

    side: Literal["both", "before", "after"]
    text: str


class FieldEdit(Closed):
    """How one field of a row was edited, word by word; personal data is masked."""

    field: str
    words: list[Words]


class EditedRow(Closed):
    """A row of both sides that is not the same."""

    id: str
    split: str
    fields: list[FieldEdit]


class Move(Closed):
    """A row that is in another split than before."""

    id: str
    before: str
    after: str


class Pair(Closed):
    """Two rows with the same, or nearly the same, text."""

    id: str
    other: str
    kind: str
    """The reason of the ledger that the row was left out for; of test rows, where the other row is."""
    similarity: float | None
    """None where it was not measured."""


class Pairs(Closed):
    """Pairs that are new; `pairs` are the first of `count`."""

    count: int
    pairs: list[Pair]


class Length(Closed):
    """Median and 95th percentile of a length; None without rows."""

    median: tuple[int | None, int | None]
    p95: tuple[int | None, int | None]


class Shift(Closed):
    """How far a distribution moved, from 0 (equal) to 1 (disjoint)."""

    name: str
    measure: Literal["Cohen's w", "Cliff's delta", "Jensen-Shannon distance", "2 AUC - 1"]
    effect: float | None
    """None where there are too few rows for a number, or it is not computed: DataDiff.notes say why."""
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    small: float
    """Where a small shift begins."""
    large: float
    """Where a large one begins."""
    verdict: Verdict
    rows: int
    """Rows that were looked at, both sides together; a seeded sample where that is less than all."""
    of: Literal["all rows", "new rows"] = "all rows"
    """Whether base and head are compared, or only the head's added and edited rows with the base."""
    values: list[Count] = Field(default=[])
    """The values whose share changed most, where there are values; masked, and none where they are free text."""
    length: Length | None = None


class ReasonCount(Closed):
    """Rows that a stage left out for one reason."""

    stage: str
    reason: str
    before: int
    after: int


class Quarantined(Closed):
    """A row that is in quarantine now and was not before."""

    id: str
    reasons: list[str]


class Quarantine(Closed):
    """Rows in quarantine before and after, of how many that were checked."""

    before: int
    after: int
    checked_before: int
    checked_after: int
    new: list[Quarantined]
    """The first of those that were not there before."""

    @property
    def share_increase(self) -> float:
        """How much the share of rows in quarantine rose."""
        old = self.before / self.checked_before if self.checked_before else 0.0
        return (self.after / self.checked_after if self.checked_after else 0.0) - old


class PersonalData(Closed):
    """Personal data that `prepare` detected."""

    kinds: list[Count]
    """What was done to which kind, in how many rows: `masked: email`."""
    new_rows: int
    """Rows with personal data that had none before, or were not there."""
    ids: list[str]
    """The first of these."""


class ExpectationChange(Closed):
    """An expectation that was added, removed or changed."""

    suite: str
    expectation: str
    before: str | None
    after: str | None


class SourceChange(Closed):
    """One source on both sides; None where it is not declared."""

    name: str
    before: int | None
    """Rows ingested; None where the source is not declared, or the rows were not counted."""
    after: int | None
    license_before: str | None
    license_after: str | None
    change: Literal["added", "removed", "license changed", "same"]


class Tokens(Closed):
    """Tokens of one split; None where they were not counted."""

    split: str
    before: int | None
    after: int | None


class Forecast(Closed):
    """What a stage will cost; None where nothing comparable was recorded."""

    stage: str
    minutes_before: float | None
    """What the locked run of the base took."""
    minutes_after: float | None
    hardware: str | None


class DataDiff(Closed):
    """The whole comparison. Lists of rows are samples; counts are complete."""

    schema_version: Literal[1] = 1
    base: str | None
    """A commit; None where there is nothing to compare with."""
    head: str
    """A commit, or `working tree`."""
    same: bool
    """Whether both lock the same prepared rows, byte for byte: then there is no shift and no new leak to look for."""
    notes: list[str]
    """What could not be compared, and why."""
    rows: list[RowCounts]
    added: list[RowSample]
    removed: list[RowSample]
    edited: list[EditedRow]
    moved: list[Move]
    moved_count: int
    shifts: list[Shift]
    duplicates: Pairs
    """Rows left out as duplicates: those that the base did not leave out."""
    leaks_left_out: Pairs
    """Rows left out because a test or validation row asks the same: those that the base did not leave out."""
    leaks: Pairs
    """Rows of test and valid that a row of another split repeats, and did not in the base."""
    seen: Pairs
    """Rows of the test split that the base's model was trained on."""
    left_out: list[ReasonCount]
    quarantine: Quarantine | None
    """None where the head locks no checked rows."""
    personal_data: PersonalData | None
    """None where the head locks no record of it."""
    expectations: list[ExpectationChange]
    sources: list[SourceChange]
    tokens: list[Tokens]
    forecast: list[Forecast] = Field(default=[])

    @property
    def splits(self) -> list[RowCounts]:
        """The counts of each split."""
        return [counts for counts in self.rows if counts.name != "ingested"]

    def total(self, what: str) -> int:
        """Rows `before`, `after`, `added`, `removed` or `edited`; a row that moved was not added or removed."""
        total = sum(int(getattr(counts, what)) for counts in self.splits)
        return total - self.moved_count if what in ("added", "removed") else total


def schema() -> dict[str, Any]:
    """The JSON schema of a comparison."""
    return DataDiff.model_json_schema()
