"""How often does the gate decide wrongly? Monte Carlo of the whole decision, beside the rules that others use.

Draws test sets with a known true difference in accuracy, asks `decide_metrics` and four other rules, and writes how
often each lets the change pass, as a Markdown table. Reads no file; the seed fixes every draw.

Example: python bench/gate_power.py --simulations 1000 > table.md
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from mlflow.models import EvaluationResult, MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException, validate_evaluation_results
from tqdm import tqdm

from tunegate.gate.decision import decide_metrics
from tunegate.gate.policy import MetricPolicy, Policy
from tunegate.gate.scores import Paired, Side
from tunegate.gate.statistics import mcnemar

BASELINE_SHARE = 0.6
"""Rows that the baseline answers correctly and the candidate too, of those on which they agree."""
CORRELATION = 0.5
"""Chance that all rows of a group share one draw."""


class Setting(NamedTuple):
    rows: int
    group: int
    discordance: float
    difference: float


def settings(rows: list[int], margin: float) -> Iterator[Setting]:
    for group in (1, 2):
        for n in rows:
            for discordance in (margin, 0.1, 0.3):
                for difference in (margin, 0.0, -margin / 2, -margin):
                    # With few changed answers only the hardest case is shown: losses alone.
                    if discordance > margin or difference == -margin:
                        yield Setting(n, group, discordance, difference)


def draw(setting: Setting, rng: np.random.Generator) -> Paired:
    n, group = setting.rows, setting.group
    groups = np.arange(n) // group
    together = (rng.random(n) < CORRELATION)[groups] & (group > 1)
    chance = np.where(together, rng.random(n)[groups], rng.random(n))
    lost = chance < (setting.discordance - setting.difference) / 2
    won = ~lost & (chance < setting.discordance)
    agreed = rng.random(n) < BASELINE_SHARE
    before, after = np.where(lost | won, lost, agreed), np.where(lost | won, won, agreed)
    zeros = np.zeros(n, dtype=np.int64)
    sides = (Side(correct, np.zeros(n), np.where(correct, 0, -1)) for correct in (after, before))
    return Paired([""] * n, groups, {}, np.ones(n, dtype=np.bool_), ["right"], zeros, *sides)


def any_drop(before: float, after: float, _: Paired) -> bool:
    return after >= before


def one_point(before: float, after: float, _: Paired) -> bool:
    return after >= before - 0.01


def mlflow_threshold(before: float, after: float, _: Paired) -> bool:
    """A candidate must be a point better: `min_absolute_change` has to be positive."""
    thresholds = {"accuracy": MetricThreshold(min_absolute_change=0.01, greater_is_better=True)}
    results = [EvaluationResult(metrics={"accuracy": float(value)}, artifacts={}) for value in (after, before)]
    try:
        validate_evaluation_results(thresholds, *results)
    except ModelValidationFailedException:
        return False
    return True


def significantly_worse(_before: float, _after: float, paired: Paired) -> bool:
    assert paired.baseline
    own, other = paired.candidate.correct, paired.baseline.correct
    fixed, broken = int((own & ~other).sum()), int((other & ~own).sum())
    return not (broken > fixed and mcnemar(fixed, broken) < 0.05)


RULES: dict[str, Callable[[float, float, Paired], bool]] = {
    "no drop": any_drop,
    "drop ≤ 1 point": one_point,
    "MLflow +1 point": mlflow_threshold,
    "not significantly worse": significantly_worse,
}


def simulate(setting: Setting, policy: Policy, simulations: int, resamples: int, seed: int) -> Counter[str]:
    rng = np.random.default_rng([seed, setting.rows, setting.group, round(1000 * setting.discordance)])
    counts: Counter[str] = Counter()
    for _ in range(simulations):
        paired = draw(setting, rng)
        assert paired.baseline
        counts[decide_metrics(paired, policy, resamples=resamples)[0].outcome] += 1
        before, after = paired.baseline.correct.mean(), paired.candidate.correct.mean()
        counts.update(name for name, rule in RULES.items() if rule(before, after, paired))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000, help="test sets drawn per line (default 1000)")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples each (default 1000)")
    parser.add_argument("--margin", type=float, default=0.05, help="the policy's margin (default 0.05)")
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 200, 500, 2000], help="test rows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="50 simulations of 100 and 200 rows: does it run?")
    given = parser.parse_args()
    simulations, rows = (50, [100, 200]) if given.quick else (given.simulations, given.rows)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    metric = MetricPolicy(role="primary", direction="higher", margin=given.margin)
    policy = Policy(metrics={"accuracy": metric})
    names = [*("gate: pass", "refused", "inconclusive"), *(f"passes: {name}" for name in RULES)]
    print("| rows | per group | changed | true difference |", " | ".join(names), "|")
    print("|---" * (4 + len(names)) + "|")
    for setting in tqdm(list(settings(rows, given.margin)), unit="line", file=sys.stderr):
        counts = simulate(setting, policy, simulations, given.resamples, given.seed)
        shares = [f"{100 * counts[name] / simulations:.1f}" for name in ("pass", "refused", "inconclusive", *RULES)]
        head = f"| {setting.rows} | {setting.group} | {setting.discordance:.0%} | {100 * setting.difference:+.1f} |"
        print(head, " | ".join(shares), "|", flush=True)


if __name__ == "__main__":
    main()
