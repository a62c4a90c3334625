import re
from pathlib import Path

import pytest
from verdicts import metric, part

from tunegate.files import read_yaml
from tunegate.gate.policy import Policy
from tunegate.params import parse
from tunegate.reporting.verdict_rows import confidence, metric_rows, slice_rows

ROOT = Path(__file__).parents[2]
POLICY = parse(Policy, read_yaml(ROOT / "policy/gate.yaml"), place="policy", remedy="")

NONE = "\N{EN DASH}"


def x_of(svg: str, kind: str) -> float:
    found = re.search(rf'class="{kind}"[^>]*?(?:x1|cx)="([\d.]+)"', svg)
    assert found, kind
    return float(found[1])


def test_a_metric_says_what_the_policy_asks_of_it_in_its_own_unit() -> None:
    rows = metric_rows([
        metric(),
        metric("nll", role="guard", direction="lower", margin=0.25, floor=None, difference=0.1, low=-0.2, high=0.3),
        metric("macro_f1", role="info"),
    ])  # fmt: skip
    assert [(row.change, row.tone, row.requirement, row.outcome) for row in rows] == [
        ("+5.0", "better", "at worst \N{MINUS SIGN}5.0; at least 40.0 %", "pass"),
        ("+0.100", "worse", "at worst +0.250", "pass"),
        ("+5.0", "better", NONE, "shown only"),
    ]
    assert rows[0].bounds == "+1.0 to +9.0"


@pytest.mark.parametrize(("name", "direction", "low", "high"), [
    ("accuracy", "higher", -0.08, -0.02), ("nll", "lower", 0.02, 0.08),
])  # fmt: skip
def test_a_loss_is_drawn_on_the_left_whichever_way_is_better(
    name: str, direction: str, low: float, high: float
) -> None:
    (row,) = metric_rows([metric(name, direction=direction, low=low, high=high, difference=(low + high) / 2)])
    assert x_of(row.plot, "range") < x_of(row.plot, "estimate") < x_of(row.plot, "zero")
    assert x_of(row.plot, "limit") < x_of(row.plot, "zero")


def test_without_a_baseline_there_is_no_interval_and_only_the_floor_is_asked() -> None:
    (row,) = metric_rows([metric(baseline=None, difference=None, low=None, high=None)])
    assert (row.before, row.change, row.plot, row.requirement) == (NONE, NONE, "", "at least 40.0 %")


def test_slices_are_grouped_by_name_and_one_with_few_rows_has_no_interval() -> None:
    rows = slice_rows(
        [part("en"), part("sv", low=None, high=None, outcome="untested"), part("a", slice="desk")], POLICY
    )
    assert {name: [row.name for row in found] for name, found in rows.items()} == {
        "language": ["en", "sv"],
        "desk": ["a"],
    }
    assert (rows["language"][0].plot != "", rows["language"][1].plot) == (True, "")


def test_two_one_sided_bounds_make_an_interval() -> None:
    assert [confidence({alpha}) for alpha in (0.05, 0.025, 0.001)] == ["90 %", "95 %", "99.8 %"]
    assert confidence({0.05, 0.1, 0.07}) == "80 to 90 %"
