import pytest

from tunegate.gate.wording import signed, size, title, value


@pytest.mark.parametrize(
    ("name", "number", "shown", "amount", "change"),
    [
        ("accuracy", 0.0221, "2.2 %", "2.2 points", "+2.2 points"),
        ("accuracy", -0.01, "-1.0 %", "1 point", "\N{MINUS SIGN}1.0 points"),
        ("macro_f1", 0.0, "0.0 %", "0 points", "0.0 points"),
        ("nll", -0.0091, "-0.009", "0.0091", "\N{MINUS SIGN}0.009"),
        ("nll", 0.0001, "0.000", "0.0001", "0.000"),
    ],
)
def test_shares_are_per_cent_and_points_and_a_loss_is_neither(
    name: str, number: float, shown: str, amount: str, change: str
) -> None:
    assert (value(name, number), size(name, number), signed(name, number)) == (shown, amount, change)


def test_an_interval_names_its_unit_once_and_a_metric_is_written_as_people_write_it() -> None:
    assert signed("accuracy", 0.05, unit=False) == "+5.0"
    assert [title(name) for name in ("nll", "macro_f1", "exact_match")] == ["NLL", "macro F1", "exact match"]
