import pytest
from data_change import empty

from tunegate.data.diff.result import DataDiff, Quarantine, schema

COUNTS = {"before": 100, "after": 90, "added": 15, "removed": 25, "edited": 5}


def test_totals_leave_out_the_ingested_rows_and_a_moved_row_was_neither_added_nor_removed() -> None:
    rows = [{"name": "ingested"} | dict.fromkeys(COUNTS, 1000), {"name": "train"} | COUNTS, {"name": "test"} | COUNTS]
    diff = empty(rows=rows, moved_count=7)
    assert {what: diff.total(what) for what in COUNTS} == {
        "before": 200, "after": 180, "added": 23, "removed": 43, "edited": 10,
    }  # fmt: skip
    assert [counts.name for counts in diff.splits] == ["train", "test"]


@pytest.mark.parametrize(
    ("before", "after", "increase"), [((1, 10), (3, 10), 0.2), ((0, 0), (1, 4), 0.25), ((1, 4), (0, 0), -0.25)]
)
def test_a_share_of_no_rows_is_zero(before: tuple[int, int], after: tuple[int, int], increase: float) -> None:
    counts = Quarantine(before=before[0], checked_before=before[1], after=after[0], checked_after=after[1], new=[])
    assert counts.share_increase == pytest.approx(increase)


def test_a_comparison_survives_its_own_json_and_has_a_schema() -> None:
    diff = empty(notes=["older"])
    assert DataDiff.model_validate_json(diff.model_dump_json()) == diff
    assert schema()["properties"]["schema_version"]["const"] == 1
