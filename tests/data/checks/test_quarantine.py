from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunegate.data.checks import quarantine
from tunegate.data.checks.outcomes import Outcome
from tunegate.data.checks.quarantine import part_rows
from tunegate.data.checks.suites import Expectation
from tunegate.data.checks.validation import Judged
from tunegate.data.rows import PLACED_ROW, Row
from tunegate.files import sha256_of
from tunegate.tables import read_parquet


def moving(kind: str, *failing: int) -> Outcome:
    expectation = Expectation(type=kind, kwargs={"column": "text"}, severity="warning")
    return Outcome(expectation, False, None, np.array(failing, dtype=np.int64))


def judged(*outcomes: Outcome) -> Judged:
    away = sorted({int(number) for outcome in outcomes for number in outcome.failing})
    return Judged(np.array(away, dtype=np.int64), outcomes, {}, {})


@pytest.fixture
def path(row: Callable[..., Row], stored: Callable[[list[Row]], Path]) -> Path:
    return stored([row(name) for name in "abcdefg"])


@pytest.mark.parametrize("group", [65_536, 2, 1])
def test_rows_part_in_their_order_with_every_reason_wherever_a_batch_begins(
    path: Path, tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "GROUP_ROWS", group)
    part_rows(path, judged(moving("v", 1, 6), moving("w", 1, 3)), tmp_path / "passed", tmp_path / "away")
    passed, away = read_parquet(tmp_path / "passed"), read_parquet(tmp_path / "away")
    assert passed.column("id").to_pylist() == ["a", "c", "e", "f"]
    assert passed.schema.equals(PLACED_ROW)
    assert [(row["id"], row["place"], row["reasons"]) for row in away.to_pylist()] == [
        ("b", "f.csv:b", ["v(text)", "w(text)"]),
        ("d", "f.csv:d", ["w(text)"]),
        ("g", "f.csv:g", ["v(text)"]),
    ]


def test_without_a_quarantine_the_rows_are_the_same_bytes_and_the_quarantine_is_an_empty_table(
    path: Path, tmp_path: Path
) -> None:
    part_rows(path, judged(), tmp_path / "passed", tmp_path / "away")
    assert sha256_of(tmp_path / "passed") == sha256_of(path)
    assert read_parquet(tmp_path / "away").num_rows == 0
