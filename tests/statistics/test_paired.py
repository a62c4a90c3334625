import dataclasses
import itertools

import numpy as np
import pytest
from paired_answers import outcomes
from scipy import stats

from tunegate.statistics.paired import MOST_ROWS, Counts, PairedDifference, holm, mcnemar
from tunegate.statistics.paired_bootstrap import mean_difference


def difference(changes: np.ndarray, *, share: bool = True, resamples: int = 2000) -> PairedDifference:
    """Of rows that each are one cluster; where nothing changed both are right."""
    before = np.where(changes == 0, 1.0, changes < 0)
    rng, clusters = np.random.default_rng(7), np.arange(len(changes))
    return mean_difference(before, before + changes, clusters, share=share, resamples=resamples, rng=rng)


def difference_of(rows: int, lost: int, won: int) -> PairedDifference:
    return difference(np.array(outcomes(rows, lost=lost, won=won)))


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (0, 12), (40, 61)])
def test_mcnemar_is_the_exact_binomial_test(fixed: int, broken: int) -> None:
    expected = stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(expected, rel=1e-9)


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("lost", "rows"), [(0, 100), (3, 100), (100, 100)])
def test_the_reach_of_losses_alone_is_clopper_and_pearson(lost: int, rows: int) -> None:
    upper = stats.binomtest(lost, rows, alternative="less").proportion_ci(0.95, "exact").high
    assert Counts(lost, 0, rows).reach(0.05) == pytest.approx(upper - lost / rows)


def test_the_reach_of_gains_alone_is_clopper_and_pearson() -> None:
    lower = stats.binomtest(30, 100, alternative="greater").proportion_ci(0.95, "exact").low
    assert Counts(0, 30, 100).reach(0.05) == pytest.approx(0.3 - lower)


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (5, 0), (12, 3), (20, 20), (2, 30)])
def test_bound_and_p_value_say_the_same(lost: int, won: int) -> None:
    measured = difference_of(200, lost, won)
    high = measured.high(0.05)
    assert measured.p_not_below(high + 0.003) <= 0.05
    assert measured.p_not_below(high - 0.003) > 0.05
    assert measured.low(0.05) < measured.value < high


def test_a_p_value_goes_on_beyond_the_farthest_resample_and_never_falls_below_the_other_methods() -> None:
    measured = difference_of(200, 60, 0)
    chances = [measured.p_not_below(bound) for bound in np.linspace(-0.25, 0.0, 200)]
    assert measured.p_not_below(-0.02) < 1e-10 < 1 / 2001
    assert all(0 < after <= before for before, after in itertools.pairwise(chances))
    skewed = dataclasses.replace(measured, roots=np.sort(-np.random.default_rng(1).exponential(3.0, 2000)))
    assert skewed.p_not_below(-0.02) > measured.p_not_below(-0.02)
    farthest = skewed.centre - float(skewed.roots[0]) * skewed.error
    assert skewed.p_not_below(farthest + 1e-9) == pytest.approx(1 / 2001, rel=1e-3)
    assert difference_of(200, 200, 0).p_not_below(-0.5) < 1e-10
    assert difference_of(30, 30, 0).p_not_below(-0.95) > 0.1


@pytest.mark.parametrize(("lost", "won", "level"), [(0.15, 0.05, 1e-3), (0.2, 0.1, 1e-3), (0.2, 0.1, 1e-4)])
def test_a_slice_at_its_margin_is_refused_no_more_often_than_a_level_that_no_resample_reaches(
    lost: float, won: float, level: float
) -> None:
    rows, refused = 40, 0.0
    for losses in range(5, rows + 1):
        for gains in range(rows + 1 - losses):
            chance = stats.multinomial.pmf([losses, gains, rows - losses - gains], rows, [lost, won, 1 - lost - won])
            if losses - gains < 0.1 * rows or chance < level * 1e-4:
                continue
            measured = difference(np.array(outcomes(rows, lost=losses, won=gains)), resamples=200)
            refused += chance * (measured.p_not_below(won - lost) <= level)
    assert refused <= level


def test_bounds_are_no_narrower_than_the_plain_ones() -> None:
    for lost, won in [(30, 30), (10, 4), (2, 0)]:
        changes = np.array(outcomes(300, lost=lost, won=won))
        plain = stats.t.ppf(0.95, 299) * changes.std(ddof=1) / np.sqrt(300)
        measured = difference_of(300, lost, won)
        assert measured.low(0.05) <= changes.mean() - 0.97 * plain
        assert measured.low(0.05) >= changes.mean() - 1.15 * plain - 2 / 300  # nor needlessly wide


def test_an_exactly_equal_loss_is_certain() -> None:
    same = difference(np.zeros(100), share=False)
    assert same.low(0.05) == same.high(0.05) == 0
    assert (same.p_not_below(0.1), same.p_not_below(-0.1)) == (0.0, 1.0)


def test_the_rows_needed_are_those_of_the_textbook_when_many_changed() -> None:
    measured = difference_of(10_000, 500, 500)
    variance = 0.1
    textbook = (stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) ** 2 * variance / 0.005**2
    assert measured.needed_rows(0.005, alpha=0.05, power=0.8) == pytest.approx(textbook, rel=0.05)


def test_with_the_rows_needed_the_gate_decides_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    needed = difference_of(200, 12, 12).needed_rows(0.05, alpha=0.05, power=0.8)
    assert needed
    decided = 0
    for _ in range(200):
        lost, won, _ = rng.multinomial(needed, [0.06, 0.06, 0.88])
        decided += difference_of(needed, lost, won).low(0.05) > -0.05
    assert 0.7 <= decided / 200 <= 0.9


def test_more_rows_are_needed_than_there_are_and_at_the_margin_no_number_is() -> None:
    measured = difference_of(200, 12, 3)
    needed = measured.needed_rows(0.5, alpha=0.05, power=0.8)
    assert needed
    assert 200 < needed < 300
    assert measured.needed_rows(0.0, alpha=0.05, power=0.8) is None
    assert measured.needed_rows(1e-4, alpha=0.05, power=0.8) is None
    assert MOST_ROWS == 100_000
