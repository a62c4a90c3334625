import numpy as np
import pytest
from paired_answers import random_classifiers
from sklearn.metrics import precision_recall_fscore_support

from tunegate.statistics.paired_bootstrap import (
    ClassAnswers,
    class_counts,
    macro_average,
    macro_differences,
    mean_difference,
)

MACRO = ("macro_precision", "macro_recall", "macro_f1")


def test_macro_averages_are_those_of_scikit_learn_on_every_resample() -> None:
    rng = np.random.default_rng(3)
    paired = random_classifiers(60, 20, rng)
    for _ in range(20):
        drawn = rng.integers(0, 60, 60)
        references, answered = paired.references[drawn], paired.candidate.answered[drawn]
        expected = precision_recall_fscore_support(
            references, answered, labels=sorted(set(references)), average="macro", zero_division=0
        )
        sums = class_counts(references, answered, 20).sum(axis=0)
        assert np.allclose([macro_average(sums, name) for name in MACRO], expected[:3], rtol=1e-12)


def test_the_standard_error_of_a_mean_is_the_textbooks_for_independent_rows() -> None:
    change = np.random.default_rng(1).normal(0.3, 1.0, 500)
    rng, clusters = np.random.default_rng(7), np.arange(500)
    found = mean_difference(np.zeros(500), change, clusters, share=False, resamples=4000, rng=rng)
    plain = change.std(ddof=1) / np.sqrt(500)
    assert found.value == pytest.approx(change.mean())
    assert np.sqrt(found.variance / 500) == pytest.approx(plain, rel=0.01)
    assert plain < found.error < 1.05 * plain, "the farthest row counts three times"
    assert found.roots.std() == pytest.approx(1.0, rel=0.1)


def test_rows_that_repeat_each_other_leave_the_error_of_a_mean_as_it_was() -> None:
    change = np.random.default_rng(2).normal(0, 1, 200)

    def error(values: np.ndarray, clusters: np.ndarray) -> float:
        rng = np.random.default_rng(7)
        return mean_difference(0 * values, values, clusters, share=False, resamples=50, rng=rng).error

    single = error(change, np.arange(200))
    assert error(np.repeat(change, 3), np.repeat(np.arange(200), 3)) == pytest.approx(single, rel=1e-9)
    assert error(np.repeat(change, 3), np.arange(600)) < 0.7 * single


def test_two_models_with_equal_answers_have_equal_macro_averages_and_still_an_error() -> None:
    references = np.arange(90) % 3
    answered = np.where(np.arange(90) < 60, references, -1)
    rows = ClassAnswers(references, answered, answered, np.zeros(90), 3)
    found = macro_differences(rows, np.arange(90), MACRO, resamples=100, rng=np.random.default_rng(1))
    assert list(found) == list(MACRO)
    assert {one.value for one in found.values()} == {0.0}
    assert all(one.error > 0 and one.low(0.05) < 0 < one.high(0.05) for one in found.values())
