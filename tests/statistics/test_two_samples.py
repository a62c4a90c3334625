import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import mannwhitneyu

from tunegate.statistics.effect_sizes import LEAST, UNKNOWN
from tunegate.statistics.two_samples import classifier_effect, frequency_effect

GROUPS = np.arange(60)
IS_AFTER = GROUPS >= 30


def test_equal_counts_have_no_distance_and_no_word_in_common_is_1() -> None:
    counts = csr_matrix(np.random.default_rng(1).integers(1, 9, (60, 12)))
    assert frequency_effect(counts, counts, GROUPS) == (0.0, 0.0, 0.0)
    first, second = (csr_matrix(np.tile(row, (60, 1))) for row in ([3, 0], [0, 5]))
    assert frequency_effect(first, second, GROUPS) == (1.0, 1.0, 1.0)


def test_a_sample_that_a_feature_gives_away_is_told_apart_and_one_without_features_is_not() -> None:
    told = csr_matrix(np.stack([IS_AFTER, ~IS_AFTER], axis=1).astype(float))
    assert classifier_effect(told, IS_AFTER, GROUPS) == (1.0, 1.0, 1.0)
    blind = classifier_effect(csr_matrix(np.zeros((60, 2))), IS_AFTER, GROUPS)
    assert blind.value is not None
    assert blind.value < 0.1


def test_the_effect_of_a_weak_feature_lies_between_and_is_twice_its_auc_minus_1() -> None:
    feature = np.random.default_rng(2).integers(0, 4, 400) + np.repeat([0, 1], 200)
    found = classifier_effect(csr_matrix(feature[:, None].astype(float)), np.arange(400) >= 200, np.arange(400))
    auc = mannwhitneyu(feature[200:], feature[:200]).statistic / 200**2
    assert found.value == pytest.approx(2 * auc - 1, abs=0.06)  # each fold has its own scale of scores
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.value < found.high < 1  # type: ignore[operator]


def test_rows_of_a_group_are_never_scored_by_a_model_that_saw_the_group() -> None:
    # Every group has its own word, and all rows of a group are of one sample: only a leak could tell them apart.
    words = csr_matrix(np.kron(np.eye(60), np.ones((4, 1))))
    found = classifier_effect(words, np.repeat(IS_AFTER, 4), np.repeat(GROUPS, 4))
    assert found.value is not None
    assert found.value < 0.2


def test_fewer_groups_than_say_anything_say_nothing() -> None:
    few = LEAST - 1
    counts = csr_matrix(np.ones((5 * few, 3)))
    groups = np.repeat(np.arange(few), 5)
    assert frequency_effect(counts, counts, groups) == UNKNOWN
    assert classifier_effect(counts, np.arange(5 * few) % 2 == 0, groups) == UNKNOWN
