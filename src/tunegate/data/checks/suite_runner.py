"""A suite over the rows of a Parquet file, however many: chunk by chunk where a row is judged alone.

Reads the columns that the suite looks at. An expectation of whole columns gets them at the end, as numbers of 64 bits
where only equality matters; a column that does not fit into the memory it may use is refused. Where chunks begin
changes no outcome. What follows from a failure is in `validation`.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tunegate.data.checks.columns import CHUNK_ROWS, Chunk, chunks, column_names, digests
from tunegate.data.checks.engine import Engine, make_expectations
from tunegate.data.checks.frames import ColumnBuffer, frame_of, shape_frame
from tunegate.data.checks.outcomes import Outcome, Rows
from tunegate.data.checks.scopes import Scope, judges_values, scope_of
from tunegate.data.checks.suites import Suite, check_columns
from tunegate.errors import InputError

ANSWER = "answer"
"""The column that rows lack on purpose, if they do: raw text has no answer."""


class Checked(NamedTuple):
    """The rows, and the outcome of each expectation in the order of the suite."""

    rows: Rows
    outcomes: list[Outcome]


@dataclass
class _RowCounts:
    """How many rows one expectation judged, and which failed it."""

    rows: int = 0
    failed: int = 0
    failing: list[Any] = field(default_factory=list)

    def add(self, result: dict[str, Any]) -> None:
        self.rows += result["element_count"] - result.get("missing_count", 0)
        self.failed += result["unexpected_count"]
        self.failing.append(np.array(result["unexpected_index_list"], dtype=np.int64))

    def holds(self, mostly: float) -> bool:
        """Great Expectations' rule: nothing judged is nothing wrong."""
        return not self.rows or (self.rows - self.failed) / self.rows >= mostly


def run_suite(
    suite: Suite, path: Path, place: str, *, templates: Path, memory: int, chunk_rows: int = CHUNK_ROWS
) -> Checked:
    """The outcomes of `suite`, which is the file `place`, over the canonical rows in the Parquet file `path`.

    `memory` bytes may hold whole columns. Raises InputError when there is no row, when a column that the suite judges
    is null in every row, and when the suite names what does not exist or has arguments that make no sense; MachineError
    when a column does not fit.
    """
    names = column_names(path)
    check_columns(suite, names, place)
    expectations = make_expectations(suite, place, templates)
    run = _Run(suite, expectations, place, memory)
    for chunk in chunks(path, run.columns, chunk_rows):
        run.add(chunk)
    if not run.sources:
        raise InputError("no rows to check", place=str(path), remedy="see what data/sources.yaml and its sources give")
    rows = Rows(path, tuple(run.names), np.concatenate(run.sources))
    run.check_nulls(len(rows))
    return Checked(rows, run.finish(names, len(rows)))


class _Run:
    """The run of one suite through the chunks."""

    def __init__(self, suite: Suite, expectations: list[Any], place: str, memory: int) -> None:
        self._suite, self._expectations, self._place = suite, expectations, place
        self._engine = Engine()
        self._scopes: list[Scope] = [scope_of(e) for e in suite.expectations]
        self._by_row = self._columns("rows")
        self._buffers = {scope: ColumnBuffer(self._columns(scope), memory) for scope in ("digests", "values")}
        conditions = {c for e in self._of("digests") for c in e.condition_columns}
        self._as_they_are = {"values": set(self._columns("values")), "digests": conditions}
        self._counts = {i: _RowCounts() for i, scope in enumerate(self._scopes) if scope == "rows"}
        self._not_null: Counter[str] = Counter()
        self.names: dict[str, int] = {}
        self.sources: list[Any] = []
        judging = [e for e in suite.expectations if judges_values(e)]
        self.columns = {"source", *self._by_row, *(c for e in judging for c in e.columns)}
        for buffer in self._buffers.values():
            self.columns.update(buffer.columns)

    def add(self, chunk: Chunk) -> None:
        """Judge the rows of a chunk, and keep what must be seen whole."""
        self.sources.append(self._codes(chunk.columns["source"]))
        for name, values in chunk.columns.items():
            self._not_null[name] += chunk.rows - values.null_count
        for scope, buffer in self._buffers.items():
            for name in buffer.columns:
                values = chunk.columns[name]
                buffer.add(name, values if name in self._as_they_are[scope] else digests(values), self._where)
        if self._counts:
            frame = frame_of({name: chunk.columns[name] for name in self._by_row}, chunk.start, chunk.rows)
            for index, result in self._evaluate("rows", frame).items():
                self._counts[index].add(result.result)

    def check_nulls(self, rows: int) -> None:
        """Raise InputError for a column that is null in every row: any expectation of it would hold.

        Not for answers: rows are without them where data/sources.yaml says so, and then nothing is judged.
        """
        for index, expectation in enumerate(self._suite.expectations):
            for column in expectation.columns if judges_values(expectation) else ():
                if not self._not_null[column] and column != ANSWER:
                    problem = f"{expectation.type}: {column!r} is null in all of {rows} rows, so it checks nothing"
                    remedy = "drop the expectation, or map the column in data/sources.yaml"
                    raise InputError(problem, place=f"{self._place}: expectations[{index}].kwargs", remedy=remedy)

    def finish(self, names: list[str], rows: int) -> list[Outcome]:
        """The outcome of each expectation; `names` are the columns of the table."""
        frames = {scope: buffer.frame(rows) for scope, buffer in self._buffers.items() if self._of(scope)}
        if self._of("shape"):
            frames["shape"] = shape_frame(names, rows)
        outcomes: dict[int, Outcome] = {}
        for scope in list(frames):
            for index, result in self._evaluate(scope, frames.pop(scope)).items():
                outcomes[index] = self._unanswered(index) or self._whole(index, result)
        for index, counts in self._counts.items():
            outcomes[index] = self._outcome(index, counts, counts.holds(self._expectations[index].mostly))
        return [outcomes[index] for index in range(len(self._expectations))]

    def _unanswered(self, index: int) -> Outcome | None:
        """The outcome of an expectation of the answers where no row has one."""
        expectation = self._suite.expectations[index]
        if expectation.columns != [ANSWER] or self._not_null[ANSWER] or not judges_values(expectation):
            return None
        return Outcome(expectation, True, "no row has an answer", np.empty(0, np.int64))

    def _whole(self, index: int, result: Any) -> Outcome:
        if "unexpected_index_list" not in result.result:
            observed = _observed(result.to_json_dict()["result"])
            return Outcome(self._suite.expectations[index], bool(result.success), observed, np.empty(0, np.int64))
        counts = _RowCounts()
        counts.add(result.result)
        return self._outcome(index, counts, bool(result.success))

    def _outcome(self, index: int, counts: _RowCounts, success: bool) -> Outcome:
        return Outcome(self._suite.expectations[index], success, None, np.sort(np.concatenate(counts.failing)))

    def _evaluate(self, scope: str, frame: Any) -> dict[int, Any]:
        chosen = [self._expectations[i] for i, own in enumerate(self._scopes) if own == scope]
        return self._engine.run(chosen, frame, self._place)

    def _codes(self, sources: Any) -> Any:
        encoded = sources.dictionary_encode()
        codes = [self.names.setdefault(name, len(self.names)) for name in encoded.dictionary.to_pylist()]
        return np.array(codes, dtype=np.int32)[encoded.indices.to_numpy()]

    def _of(self, scope: str) -> list[Any]:
        return [e for e, own in zip(self._suite.expectations, self._scopes, strict=True) if own == scope]

    def _columns(self, scope: str) -> list[str]:
        return sorted({c for e in self._of(scope) for c in e.columns + e.condition_columns})

    def _where(self, column: str) -> str:
        for index, (expectation, scope) in enumerate(zip(self._suite.expectations, self._scopes, strict=True)):
            if scope in ("values", "digests") and column in expectation.columns + expectation.condition_columns:
                return f"{self._place}: expectations[{index}]"
        return self._place


def _observed(result: dict[str, Any]) -> Any:
    """What the whole table has: a value, or else what was not expected and what was missing."""
    value = result.get("observed_value")
    if value is not None:
        return value
    return {key: values for key, values in result.items() if values is not None and values != []} or None
