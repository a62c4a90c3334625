"""How often is the gate wrong? Monte Carlo simulation of the complete decision, compared with four other rules.

Simulates pairs of answered test sets with known true differences in accuracy and NLL, computes a verdict of each with
`decide_metrics`, `decide_slices` and `judge` by policy/gate.yaml, applies four other rules to the same answers, and
prints how often each passes the change, as a Markdown table. Guards, contamination and protected files are assumed to
be in order, since they involve no chance. Reads only the policy; the seed fixes every draw.

Example: OPENBLAS_NUM_THREADS=1 python bench/gate_power.py --simulations 1000 > table.md
"""

import argparse
import logging
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mlflow.models import EvaluationResult, MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException, validate_evaluation_results
from tqdm import tqdm

from tunegate.files import read_yaml
from tunegate.gate.decision import decide_metrics, decide_slices
from tunegate.gate.judgement import Findings, judge
from tunegate.gate.policy import FILE, Policy
from tunegate.gate.scores import Paired, Side
from tunegate.gate.verdict import Outcome, Revisions, TestSet
from tunegate.params import parse
from tunegate.statistics.paired import mcnemar

BASELINE_SHARE = 0.6
"""Rows that the baseline answers correctly and the candidate too, of those on which they agree."""
CORRELATION = 0.5
"""Chance that all rows of a group share one draw."""
CLASSES = 8
NLL_RIGHT, NLL_WRONG = 0.3, 1.5
"""Mean NLL of rows that a model answers correctly, and of the others."""
HARMED = 0.2
"""Share of the groups that carry a loss in NLL."""
LANGUAGES = ("en", "sv")
LARGE = 1000
"""Rows from which only some settings are drawn: they take long and surprise least."""


class Setting(NamedTuple):
    rows: int
    group: int
    discordance: float
    accuracy: float
    """True difference."""
    nll: float
    """True difference."""


def settings(rows: list[int], policy: Policy) -> Iterator[Setting]:
    """Equal models, half the margin, and exactly the margin: of accuracy with equal NLL, and of NLL alone."""
    loss, nll = -policy.metrics["accuracy"].margin, policy.metrics["nll"].margin
    for n in rows:
        yield from (Setting(n, 1, 0.1, difference, 0.0) for difference in (0.0, loss / 2, loss))
        if n < LARGE:
            yield from (Setting(n, 1, 0.3, 0.0, 0.0), Setting(n, 1, 0.3, loss, 0.0))
            yield Setting(n, 1, -loss, loss, 0.0)  # losses alone
        yield Setting(n, 1, 0.1, 0.0, nll)
        if 100 < n < LARGE:
            yield from (Setting(n, 2, 0.1, *true) for true in ((0.0, 0.0), (loss, 0.0), (0.0, nll)))


def draw(setting: Setting, rng: np.random.Generator) -> Paired:
    n, groups = setting.rows, np.arange(setting.rows) // setting.group
    together = (rng.random(n) < CORRELATION)[groups] & (setting.group > 1)
    chance = np.where(together, rng.random(n)[groups], rng.random(n))
    lost = chance < (setting.discordance - setting.accuracy) / 2
    won = ~lost & (chance < setting.discordance)
    agreed = rng.random(n) < BASELINE_SHARE
    before, after = np.where(lost | won, lost, agreed), np.where(lost | won, won, agreed)
    references = rng.integers(0, CLASSES, n)
    old, new = nlls(setting, before, after, groups, rng)
    candidate, baseline = (
        Side(correct, nll, np.where(correct, references, (references + 1) % CLASSES))
        for correct, nll in ((after, new), (before, old))
    )
    # A group of two is a question in both languages.
    languages: list[str | None] = [LANGUAGES[i % 2] for i in range(n)]
    names = [str(number) for number in range(CLASSES)]
    everywhere = np.ones(n, dtype=np.bool_)
    return Paired([""] * n, groups, {"language": languages}, everywhere, names, references, candidate, baseline)


def nlls(
    setting: Setting, before: np.ndarray, after: np.ndarray, groups: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """NLL of both models: higher where an answer is wrong and where a row is hard; as far apart as `setting` says."""
    hard = rng.lognormal(-0.125, 0.5, len(groups))[groups]
    old, new = (np.where(c, NLL_RIGHT, NLL_WRONG) * hard * rng.lognormal(-0.02, 0.2, len(c)) for c in (before, after))
    share = (setting.discordance - setting.accuracy) / 2 + (1 - setting.discordance) * BASELINE_SHARE
    expected = [NLL_WRONG + (NLL_RIGHT - NLL_WRONG) * s for s in (share, share + setting.accuracy)]
    harmed = (rng.random(len(groups)) < HARMED)[groups]
    loss = setting.nll * harmed / HARMED * rng.exponential(1, len(groups))[groups]
    return old, new * expected[0] / expected[1] + loss


def judged(paired: Paired, policy: Policy, resamples: int) -> Outcome:
    rows, clusters = len(paired.ids), int(paired.groups.max()) + 1
    found = Findings(
        revisions=Revisions(base="base", merge_base="base", head="head"),
        policy=policy,
        policy_sha256="",
        protected=[],
        ungoverned=False,
        shallow=False,
        rescored=False,
        test_set=TestSet(sha256="", rows=rows, clusters=clusters, changed=False, uses=1, budget=policy.test_set_budget),
        metrics=decide_metrics(paired, policy, resamples=resamples),
        slices=decide_slices(paired, policy, resamples=resamples),
        guards=[],
        exact=[],
        near=[],
        known_to_baseline=[],
        seeds=1,
        approvals=[],
    )
    return judge(found).outcome


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
    rng = np.random.default_rng([seed, *(round(1000 * abs(value)) for value in setting)])
    counts: Counter[str] = Counter()
    for _ in range(simulations):
        paired = draw(setting, rng)
        assert paired.baseline
        counts[judged(paired, policy, resamples)] += 1
        before, after = paired.baseline.correct.mean(), paired.candidate.correct.mean()
        counts.update(name for name, rule in RULES.items() if rule(before, after, paired))
    return counts


def error_of(share: float, simulations: int) -> float:
    """Standard error of a simulated rate, in per cent."""
    return 100 * math.sqrt(share * (1 - share) / simulations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000, help="test sets drawn per line (default 1000)")
    parser.add_argument("--resamples", type=int, default=500, help="bootstrap resamples each (default 500)")
    parser.add_argument("--policy", type=Path, default=Path(FILE), help=f"default {FILE}")
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 200, 500, 2000], help="test rows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="50 simulations of 100 and 200 rows: does it run?")
    given = parser.parse_args()
    simulations, rows = (50, [100, 200]) if given.quick else (given.simulations, given.rows)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    policy = parse(Policy, read_yaml(given.policy), place=str(given.policy), remedy="docs/gate.md explains every key")
    names = [*("gate: pass", "refused", "inconclusive"), *(f"passes: {name}" for name in RULES)]
    print("| accuracy | NLL | rows | per group | changed |", " | ".join(names), "|")
    print("|---" * (5 + len(names)) + "|")
    for setting in tqdm(list(settings(rows, policy)), unit="line", file=sys.stderr):
        counts = simulate(setting, policy, simulations, given.resamples, given.seed)
        shares = [f"{100 * counts[name] / simulations:.1f}" for name in ("pass", "refused", "inconclusive", *RULES)]
        head = f"| {100 * setting.accuracy:+.1f} | {setting.nll:+.2f} | {setting.rows} | {setting.group}"
        print(f"{head} | {setting.discordance:.0%} |", " | ".join(shares), "|", flush=True)
    errors = ", ".join(f"{error_of(share, simulations):.1f} at {share:.0%}" for share in (policy.alpha, 0.2, 0.5))
    print(f"\nMonte Carlo standard error, in points: {errors}")


if __name__ == "__main__":
    main()
