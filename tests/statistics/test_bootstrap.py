import tracemalloc

import numpy as np

from tunegate.statistics.bootstrap import cluster_sums, resampled_sums


def test_rows_are_summed_within_their_cluster() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert cluster_sums(values, np.array([7, 3, 7])).tolist() == [[2.0, 20.0], [5.0, 50.0]]


def test_sums_of_resamples_have_the_mean_and_spread_of_drawing_with_replacement() -> None:
    for table in (np.repeat([[1.0, 0.0], [5.0, 1.0]], [300, 100], axis=0), np.random.default_rng(1).random((400, 2))):
        sums = np.concatenate(list(resampled_sums(table, 4000, np.random.default_rng(2))))
        assert sums.shape == (4000, 2)
        error = np.sqrt(400 * table.var(axis=0))
        assert np.abs(sums.mean(axis=0) - table.sum(axis=0)).max() < 4 * (error / np.sqrt(4000)).max()
        assert np.allclose(sums.std(axis=0), error, rtol=0.05)


def test_a_resample_draws_as_many_clusters_as_there_are() -> None:
    for table in (np.ones((500, 1)), np.random.default_rng(1).random((500, 1))):
        ones = np.concatenate([table, np.ones((500, 1))], axis=1)
        assert all((chunk[:, 1] == 500).all() for chunk in resampled_sums(ones, 300, np.random.default_rng(3)))


def test_the_order_of_clusters_does_not_matter_and_the_seed_does() -> None:
    rng = np.random.default_rng(1)
    table = rng.random((100, 3))

    def sums(rows: np.ndarray, seed: int) -> np.ndarray:
        return np.concatenate(list(resampled_sums(rows, 50, np.random.default_rng(seed))))

    assert (sums(table, 7) == sums(rng.permutation(table), 7)).all()
    assert (sums(table, 7) != sums(table, 8)).any()


def test_sums_of_counts_are_whole_and_sums_of_fractions_keep_their_digits() -> None:
    counts = np.random.default_rng(1).integers(0, 9, (3000, 2)).astype(np.float64)
    for factor in (1.0, 4000.0, 1 / 3):  # the middle one would not be exact in single precision
        table = np.concatenate([counts * factor, counts], axis=1)
        sums = np.concatenate(list(resampled_sums(table, 50, np.random.default_rng(2))))
        assert np.allclose(sums[:, :2], sums[:, 2:] * factor, rtol=1e-13, atol=0)
        assert (sums[:, 2:] == np.rint(sums[:, 2:])).all()


def test_memory_does_not_grow_with_the_number_of_resamples() -> None:
    table = np.random.default_rng(1).random((10_000, 2))
    tracemalloc.start()
    for _ in resampled_sums(table, 800, np.random.default_rng(2)):
        pass
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
