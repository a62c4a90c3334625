import dataclasses

import numpy as np
import pytest
from paired_answers import outcomes, pair_of, random_classifiers
from scipy.stats import multinomial
from sklearn.metrics import precision_recall_fscore_support

from tunegate.gate.estimates import estimate, estimates
from tunegate.gate.scores import Paired, Side
from tunegate.statistics.paired import PairedDifference

MACRO = ("macro_precision", "macro_recall", "macro_f1")
SEVEN = {"resamples": 2000, "seed": 7}


def difference_of(paired: Paired, name: str = "accuracy", resamples: int = 1000, seed: int = 7) -> PairedDifference:
    difference = estimate(paired, name, resamples=resamples, seed=seed).difference
    assert difference
    return difference


def test_a_metric_is_the_same_number_as_in_the_reports() -> None:
    paired = random_classifiers(200, 7, np.random.default_rng(4))
    expected = precision_recall_fscore_support(
        paired.references, paired.candidate.answered, labels=range(7), average="macro", zero_division=0
    )
    for name, number in zip(MACRO, expected[:3], strict=True):
        assert estimate(paired, name, **SEVEN).candidate == pytest.approx(number, rel=1e-12)
    assert estimate(paired, "accuracy", **SEVEN).candidate == paired.candidate.correct.mean()
    assert estimate(paired, "nll", **SEVEN).candidate == pytest.approx(paired.candidate.nll.mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "nll", *MACRO])
def test_the_standard_error_is_that_of_test_sets_drawn_again(name: str) -> None:
    rng = np.random.default_rng(5)
    differences = [estimate(random_classifiers(400, 5, rng), name, resamples=2, seed=7) for _ in range(200)]
    spread = np.std([found.candidate - found.baseline for found in differences if found.baseline is not None])
    assert difference_of(random_classifiers(400, 5, rng), name).error == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("name", ["accuracy", "nll", "macro_f1"])
def test_the_order_of_the_rows_does_not_matter(name: str) -> None:
    paired = random_classifiers(120, 6, np.random.default_rng(6), group=2)
    order = np.random.default_rng(7).permutation(120)
    sides = [Side(s.correct[order], s.nll[order], s.answered[order]) for s in (paired.candidate, paired.baseline) if s]
    shuffled = dataclasses.replace(
        paired,
        groups=paired.groups[order],
        references=paired.references[order],
        candidate=sides[0],
        baseline=sides[1],
    )
    one, other = (difference_of(p, name) for p in (paired, shuffled))
    assert one.low(0.05) == pytest.approx(other.low(0.05), abs=1e-9)
    assert one.high(0.05) == pytest.approx(other.high(0.05), abs=1e-9)


def test_metrics_estimated_together_are_what_they_are_alone() -> None:
    paired = random_classifiers(120, 5, np.random.default_rng(8), group=2)
    names = ["macro_f1", "accuracy", "macro_recall", "nll"]
    together = estimates(paired, names, **SEVEN)
    assert sorted(together) == sorted(names)
    for name in names:
        shared, alone = together[name].difference, estimate(paired, name, **SEVEN).difference
        assert shared
        assert alone
        assert (shared.roots == alone.roots).all()
        assert shared.low(0.05) == alone.low(0.05)


@pytest.mark.parametrize("name", ["accuracy", "nll", "macro_f1"])
def test_the_same_seed_gives_the_same_bounds(name: str) -> None:
    paired = random_classifiers(150, 5, np.random.default_rng(8))
    assert difference_of(paired, name).low(0.05) == difference_of(paired, name).low(0.05)
    assert (difference_of(paired, name).roots != difference_of(paired, name, seed=8).roots).any()


def test_exchanging_the_models_exchanges_the_bounds() -> None:
    paired = random_classifiers(150, 5, np.random.default_rng(8))
    assert paired.baseline
    exchanged = dataclasses.replace(paired, candidate=paired.baseline, baseline=paired.candidate)
    one, other = difference_of(paired), difference_of(exchanged)
    assert one.low(0.05) == pytest.approx(-other.high(0.05), abs=0.003)  # the resamples differ


def test_rows_that_repeat_each_other_count_once() -> None:
    changes = outcomes(100, lost=6, won=3)
    single = difference_of(pair_of(changes))
    double = difference_of(pair_of(np.repeat(changes, 2), clusters=np.repeat(np.arange(100), 2)))
    blind = difference_of(pair_of(np.repeat(changes, 2)))
    assert double.low(0.05) == pytest.approx(single.low(0.05), abs=1e-9)
    assert blind.low(0.05) > double.low(0.05) + 0.01


def test_no_change_at_all_is_no_certainty() -> None:
    for name in ("accuracy", "macro_f1"):
        assert -0.05 < difference_of(pair_of(outcomes(178)), name).low(0.05) < -0.015
        assert difference_of(pair_of(outcomes(20)), name).low(0.05) < -0.1


def test_with_no_change_each_cluster_counts_as_one_row() -> None:
    difference = difference_of(pair_of(outcomes(178), clusters=np.arange(178) // 2))
    assert difference.counts
    assert difference.counts.trials == pytest.approx(89)
    assert difference.low(0.05) == pytest.approx(0.05 ** (1 / 89) - 1, abs=1e-6)


def test_a_rare_class_makes_a_macro_average_less_sure() -> None:
    references = np.array([0] * 95 + [1] * 5)
    side = Side(np.ones(100, np.bool_), np.ones(100), references)
    paired = dataclasses.replace(
        pair_of(outcomes(100)), classes=["a", "b"], references=references, candidate=side, baseline=side
    )
    difference = difference_of(paired, "macro_recall")
    assert difference.counts
    assert difference.counts.trials == pytest.approx(100 / (100 * (1 / 95 + 1 / 5) / 4))
    assert difference.low(0.05) < 1.5 * difference_of(paired, "accuracy").low(0.05)


def test_one_row_and_no_baseline_are_no_evidence() -> None:
    assert estimate(pair_of([1]), "accuracy", **SEVEN).difference is None
    alone = estimate(dataclasses.replace(pair_of(outcomes(100)), baseline=None), "accuracy", **SEVEN)
    assert alone.difference is None
    assert alone.baseline is None


def test_a_few_rows_with_a_far_loss_do_not_count_as_certain() -> None:
    losses = np.zeros(100)
    losses[0] = 20.0
    difference = difference_of(pair_of(outcomes(100), nll=losses), "nll")
    assert np.isfinite(difference.high(0.05))
    assert difference.high(0.05) > 0.5


@pytest.mark.parametrize(
    ("rows", "group", "discordance"), [(120, 1, 0.05), (200, 1, 0.08), (200, 2, 0.05), (400, 4, 0.1), (300, 2, 0.3)]
)
def test_a_loss_exactly_as_large_as_the_margin_passes_one_time_in_twenty(
    rows: int, group: int, discordance: float
) -> None:
    rng = np.random.default_rng(11)
    passed, simulations, margin = 0, 600, 0.05
    clusters = np.arange(rows) // group
    for seed in range(simulations):
        chance = rng.random(rows)[clusters]  # rows of a cluster are alike: the hardest case
        lost = chance < (discordance + margin) / 2
        changes = np.where(lost, -1, chance < discordance)
        passed += difference_of(pair_of(changes, clusters=clusters), resamples=400, seed=seed).low(0.05) > -margin
    assert passed / simulations < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / simulations)


@pytest.mark.parametrize(
    ("rows", "discordance", "expected"), [(100, 0.05, 0.037), (100, 0.3, 0.045), (200, 0.1, 0.050), (300, 0.1, 0.051)]
)
def test_the_chance_to_pass_at_the_margin_summed_over_all_outcomes_is_alpha_or_less_to_a_tenth_of_a_point(
    rows: int, discordance: float, expected: float
) -> None:
    passed, margin = 0.0, 0.05
    chances = [(discordance + margin) / 2, (discordance - margin) / 2, 1 - discordance]
    for lost in range(int(2.5 * rows * chances[0])):
        for won in range(max(0, lost - int(rows * margin)), rows - lost + 1):  # more losses cannot pass
            chance = multinomial.pmf([lost, won, rows - lost - won], rows, chances)
            if chance > 1e-6:
                low = difference_of(pair_of(outcomes(rows, lost=lost, won=won)), resamples=500).low(0.05)
                passed += chance * (low > -margin)
    assert passed <= 0.052  # the bound is not exact: 300 rows pass a tenth of a point too often
    assert passed == pytest.approx(expected, abs=0.001)


def test_skewed_losses_pass_one_time_in_twenty() -> None:
    rng = np.random.default_rng(12)
    passed, simulations, mean = 0, 600, np.exp(0.5) - 1
    for seed in range(simulations):
        losses = rng.lognormal(0, 1, 80) - 1
        passed += difference_of(pair_of(outcomes(80), nll=losses), "nll", resamples=400, seed=seed).high(0.05) < mean
    assert passed / simulations < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / simulations)
