import pytest

from tunegate.experiments.sampling import Pruner
from tunegate.experiments.trials import State, Trial


def trial(number: int, course: list[float], state: State = "complete") -> Trial:
    return Trial(number=number, params={}, diff={}, state=state, course=tuple(course))


FOUR = [trial(number, [2.0, 1.0 + number / 10, 0.5]) for number in range(4)]


def test_a_trial_worse_than_the_median_at_the_same_point_is_stopped_there() -> None:
    pruner = Pruner("median", FOUR)
    assert not pruner.stops([9.0])
    assert pruner.stops([9.0, 8.0, 0.1])
    assert pruner.course == (9.0, 8.0)
    assert not Pruner("median", FOUR).stops([9.0, 1.0, 0.1])


def test_the_median_counts_only_behind_enough_completed_trials() -> None:
    assert not Pruner("median", FOUR[:3]).stops([9.0, 9.0, 9.0])
    failed = trial(4, [2.0, 1.0], "failed")
    assert not Pruner("median", [*FOUR[:3], failed]).stops([9.0, 9.0, 9.0])


@pytest.mark.parametrize("kind", ["median", "halving"])
def test_how_often_anybody_looks_does_not_matter(kind: str) -> None:
    course = [2.0, 1.05, 1.2, 1.3, 0.9]
    finished = [trial(number, [2.0, 1.0, 0.9 + number / 20, 0.8, 0.7]) for number in range(8)]
    once, often = Pruner(kind, finished), Pruner(kind, finished)
    stopped = [often.stops(course[:count]) for count in range(1, 6)]
    assert once.stops(course) is True
    assert any(stopped)
    assert often.course[: len(once.course)] == once.course


def test_halving_keeps_the_better_third_from_the_second_measurement_on() -> None:
    finished = [trial(number, [float(number)] * 5) for number in range(9)]
    assert not Pruner("halving", finished).stops([9.5])
    assert Pruner("halving", finished).stops([9.5, 7.5])
    assert not Pruner("halving", finished).stops([9.5, -1.0])


def test_without_a_pruner_the_course_is_kept_and_nothing_stops() -> None:
    pruner = Pruner("none", FOUR)
    assert not pruner.stops([99.0, 99.0, 99.0])
    assert pruner.course == (99.0, 99.0, 99.0)
