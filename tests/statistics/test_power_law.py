import numpy as np

from tunegate.statistics.power_law import fit

ROWS = [125, 250, 500, 1000]


def answers(shares: list[float], rows: int, seed: int) -> np.ndarray:
    """Errors of `rows` test rows: a row is wrong at an amount where its difficulty is below the share."""
    rng = np.random.default_rng(seed)
    difficulty = rng.random(rows)[:, None]
    noise = rng.normal(0, 0.15, (rows, len(shares)))
    return ((difficulty + noise) < np.asarray(shares)).astype(np.float64)


def test_a_curve_without_noise_is_found() -> None:
    amounts = np.asarray(ROWS) / ROWS[-1]
    errors = np.tile(0.2 * amounts**-0.5 + 0.1, (50, 1))
    found = fit(ROWS, errors, [str(row) for row in range(50)], most=1.0)
    assert np.allclose([found.a, found.b, found.c], [0.2, 0.5, 0.1], atol=0.02)
    assert np.isclose(found.gain, 0.2 * (1 - 2**-0.5), atol=0.002)
    assert np.isclose(found.error(1.0), 0.3, atol=0.001)


def test_a_falling_error_is_told_from_a_flat_one() -> None:
    groups = [str(row // 2) for row in range(600)]
    falling = fit(ROWS, answers([0.6, 0.5, 0.4, 0.3], 600, 1), groups, most=1.0)
    assert 0 < falling.gain_low < falling.gain < falling.gain_high
    rising = fit(ROWS, answers([0.3, 0.4, 0.5, 0.6], 600, 1), groups, most=1.0)
    assert rising.gain_high < 0


def test_a_gain_is_seen_by_chance_no_more_often_than_promised() -> None:
    seen = 0
    for seed in range(100):
        found = fit(ROWS, answers([0.4] * 4, 200, seed), [str(row) for row in range(200)], most=1.0)
        seen += found.gain_low > 0
    assert seen <= 6  # 2.5 of 100 are expected; more than 6 have a probability of 2 %


def test_equal_input_gives_equal_numbers_in_any_order_of_rows() -> None:
    errors, groups = answers([0.6, 0.5, 0.4, 0.3], 100, 3), [str(row // 3) for row in range(100)]
    order = np.random.default_rng(0).permutation(100)
    one, other = fit(ROWS, errors, groups, most=1.0), fit(ROWS, errors[order], [groups[i] for i in order], most=1.0)
    assert np.allclose([one.gain_low, one.gain_high], [other.gain_low, other.gain_high])
