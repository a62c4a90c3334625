import datetime
import decimal
import uuid

import pytest

from tunegate.data.refresh.value_types import common, stored


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ("empty", None)),
        (True, ("boolean", True)),
        (7, ("integer", 7)),
        (0.5, ("number", 0.5)),
        (decimal.Decimal("1.10"), ("text", "1.10")),
        (datetime.date(2026, 1, 2), ("text", "2026-01-02")),
        (uuid.UUID(int=1), ("text", "00000000-0000-0000-0000-000000000001")),
        ({"b": [decimal.Decimal("0.10")], "a": "å"}, ("json", '{"a": "å", "b": ["0.10"]}')),
    ],
)
def test_a_value_becomes_one_of_few_kinds_exactly(value: object, expected: tuple[str, object]) -> None:
    assert stored(value, None) == expected


@pytest.mark.parametrize("value", [2**63, b"x", "\ud800", {"a": float("nan")}, {"a": b"x"}, datetime.timedelta(1)])
def test_a_value_that_no_snapshot_can_hold_is_refused_with_a_remedy(value: object) -> None:
    with pytest.raises(ValueError, match="at the source"):
        stored(value, None)


def test_a_column_has_one_kind_and_whole_numbers_are_numbers() -> None:
    assert common("empty", "json") == "json"
    assert common("integer", "number") == "number"
    assert common("integer", "text") is None
