import pytest

from tunegate.params import Train
from tunegate.training.schedule import learning_rate


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, Train(warmup_share=0.1, learning_rate=1.0)) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates == [*sorted(rates[:10]), *sorted(rates[10:], reverse=True)]
    assert rates[-1] < 0.01


@pytest.mark.parametrize(
    ("schedule", "middle", "last"), [("cosine", 0.5, 0.0), ("linear", 0.5, 0.0), ("constant", 1, 1)]
)
def test_a_schedule_falls_as_its_name_says(schedule: str, middle: float, last: float) -> None:
    settings = Train(warmup_share=0.0, learning_rate=1.0, schedule=schedule)  # type: ignore[arg-type]
    assert learning_rate(50, 100, settings) == pytest.approx(middle)
    assert learning_rate(99, 100, settings) == pytest.approx(last, abs=0.011)
