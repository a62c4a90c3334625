"""How long do the gate's statistics take, and how much memory? All metrics and ten slices of a large test set.

Example: OPENBLAS_NUM_THREADS=1 python bench/gate_time.py --rows 10000
"""

import argparse
import resource
import time
from typing import get_args

import numpy as np

from tunegate.gate.decision import decide_metrics, decide_slices
from tunegate.gate.policy import MetricName, MetricPolicy, Policy, SlicePolicy
from tunegate.gate.scores import Paired, Side

CLASSES, SLICES = 39, 10
METRICS: tuple[MetricName, ...] = get_args(MetricName)


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
    return Paired(ids, np.arange(rows) // 2, slices, labelled, names, references[labelled], *sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    given = parser.parse_args()
    paired = test_set(given.rows, np.random.default_rng(7))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("| primary | metrics, s | ten slices, s | memory added, MiB |\n|---|---|---|---|")
    for primary in ("accuracy", "nll", "macro_f1"):
        metrics = {
            name: MetricPolicy(
                role="primary" if name == primary else "guard", direction="lower" if name == "nll" else "higher"
            )
            for name in METRICS
        }
        policy = Policy(metrics=metrics, slices=SlicePolicy(by=("part",)))
        times = [time.process_time()]
        for decide in (decide_metrics, decide_slices):
            decide(paired, policy)
            times.append(time.process_time())
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"| {primary} | {times[1] - times[0]:.1f} | {times[2] - times[1]:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
