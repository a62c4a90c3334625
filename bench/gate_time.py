"""How much time and memory the gate's statistics take: ten metrics in ten slices of a large test set.

Ten estimates of the whole test set and of each slice, each with its own bounds: all six metrics, and four of them again
on other resamples. The gate itself computes less: in slices it tests only the primary metric.

Example: OPENBLAS_NUM_THREADS=1 python bench/gate_time.py
"""

import argparse
import resource
import time
from collections.abc import Iterator
from typing import get_args

import numpy as np

from tunegate.gate.estimates import estimates
from tunegate.gate.policy import MetricName
from tunegate.gate.scores import Paired, Side

CLASSES, SLICES, ALPHA = 39, 10, 0.05
METRICS: dict[str, tuple[MetricName, ...]] = {
    "": get_args(MetricName),
    "again": ("accuracy", "exact_match", "macro_f1", "nll"),
}
"""By the salt of their resamples."""


def test_set(rows: int, rng: np.random.Generator) -> Paired:
    references = rng.integers(0, CLASSES, rows)
    labelled = rng.random(rows) < 0.9
    sides = []
    for share in (0.62, 0.6):
        answered = np.where(rng.random(rows) < share, references, rng.integers(-1, CLASSES, rows))
        sides.append(Side(answered == references, rng.gamma(2, 0.3, rows), answered[labelled]))
    slices: dict[str, list[str | None]] = {"part": [str(i) for i in rng.integers(0, SLICES, rows)]}
    names = [str(i) for i in range(CLASSES)]
    ids = [str(i) for i in range(rows)]
    return Paired(ids, np.arange(rows) // 2, slices, labelled, names, references[labelled], sides[0], sides[1])


def parts(paired: Paired) -> Iterator[tuple[str, Paired]]:
    """The whole, then every slice."""
    yield "", paired
    for value in map(str, range(SLICES)):
        yield value, paired.select(np.array([v == value for v in paired.slices["part"]], dtype=np.bool_))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    given = parser.parse_args()
    paired = test_set(given.rows, np.random.default_rng(7))
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, bounds = [], 0
    for name, part in parts(paired):
        for salt, names in METRICS.items():
            found = estimates(part, names, resamples=given.resamples, seed=7, salt=f"{name}/{salt}")
            bounds += len([e.difference.low(ALPHA) < e.difference.high(ALPHA) for e in found.values() if e.difference])
        times.append(time.process_time() - before)
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(f"{bounds} intervals in {times[-1]:.1f} s of one core: {times[0]:.1f} s of them for the whole test set")
    print(f"{added:.0f} MiB of memory added")


if __name__ == "__main__":
    main()
