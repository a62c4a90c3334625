import numpy as np
import pytest

from tunegate.statistics.effect_sizes import (
    Effect,
    cliffs_delta,
    cohens_w,
    effect_of_cells,
    jensen_shannon,
)

HALF, ONE, OTHER = np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([0.0, 1.0])


@pytest.mark.parametrize("distance", [cohens_w, cliffs_delta, jensen_shannon])
def test_a_distance_is_0_for_equal_shares_and_1_for_nothing_in_common(distance: object) -> None:
    assert callable(distance)
    assert distance(HALF, HALF) == pytest.approx(0)
    assert distance(ONE, OTHER) == pytest.approx(1)


def test_distances_are_what_their_formulas_say() -> None:
    before, after = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    middle = (before + after) / 2
    assert cohens_w(before, after) == pytest.approx(np.sqrt(0.5 * (0.01 / 0.9 + 0.01 / 0.5)))
    pairs = sum(b * a * np.sign(j - i) for i, b in enumerate(before) for j, a in enumerate(after))
    assert cliffs_delta(before, after) == pytest.approx(abs(pairs))
    bits = sum(side * np.log2(side / middle) for side in (before, after)) / 2
    assert jensen_shannon(before, after) == pytest.approx(np.sqrt(bits.sum()))


def independent(shares: tuple[np.ndarray, np.ndarray], rows: int) -> Effect:
    """The effect between two sides that have no row in common."""
    kinds = len(shares[0])
    none = -np.ones(kinds)
    sides = (np.concatenate([np.arange(kinds), none]), np.concatenate([none, np.arange(kinds)]))
    return effect_of_cells(sides, np.concatenate([rows * share for share in shares]), 2 * rows, cohens_w)


def test_a_verdict_is_decided_by_more_rows_and_not_turned_round() -> None:
    tiny, small, large = ((np.array([0.5, 0.5]), np.array([0.5 - d, 0.5 + d])) for d in (0.02, 0.15, 0.45))
    for rows, wanted in ((30, "too few rows to tell"), (3_000, None), (1_000_000, None)):
        found = [independent(shares, rows).verdict(0.1, 0.3) for shares in (tiny, small, large)]
        assert found[:2] == ([wanted] * 2 if wanted else ["none", "small"])
        assert found[2] == "large" or rows == 30


def test_two_samples_of_one_distribution_are_no_shift_however_many_kinds_there_are() -> None:
    rng = np.random.default_rng(3)
    share = rng.dirichlet(np.ones(40))
    shares = tuple(rng.multinomial(5_000, share) / 5_000 for _ in range(2))
    assert independent((shares[0], shares[1]), 5_000).verdict(0.1, 0.3) == "none"


def test_rows_that_did_not_change_make_no_uncertainty() -> None:
    same = np.arange(50.0)
    assert effect_of_cells((same, same), np.full(50, 2.0), 100, cohens_w) == Effect(0.0, 0.0, 0.0)


def test_fewer_than_twenty_observations_say_nothing() -> None:
    same = np.arange(2.0)
    assert effect_of_cells((same, same), np.full(2, 100.0), 19, cohens_w).verdict(0.1, 0.3) == "too few rows to tell"


def test_few_rows_of_many_kinds_do_not_look_like_a_shift_by_chance_alone() -> None:
    rng = np.random.default_rng(5)
    share = rng.dirichlet(np.ones(40) * 5)
    found = [
        independent((rng.multinomial(150, share) / 150, rng.multinomial(150, share) / 150), 150) for _ in range(20)
    ]
    assert sum((effect.low or 0) > 0.1 for effect in found) <= 2
