import dataclasses
from typing import Any

import pytest

from tunegate.data.similarity.overlap import Match
from tunegate.gate.judgement import Findings, judge
from tunegate.gate.policy import Policy
from tunegate.gate.verdict import GuardResult, MetricResult, Outcome, Revisions, SliceResult, TestSet, Verdict

METRIC = MetricResult(
    name="accuracy",
    role="primary",
    direction="higher",
    margin=0.05,
    floor=None,
    candidate=0.6,
    baseline=0.5,
    difference=0.1,
    low=0.05,
    high=0.15,
    outcome="pass",
    sentence="accuracy got better",
)
TEST_SET = TestSet(sha256="0" * 64, rows=200, clusters=100, changed=False, uses=1, budget=50)
METRICS = {"accuracy": {"role": "primary", "direction": "higher"}}


def metric(outcome: Outcome) -> MetricResult:
    return METRIC.model_copy(update={"outcome": outcome, "sentence": f"accuracy is {outcome}"})


def verdict(policy: dict[str, Any] | None = None, **changes: Any) -> Verdict:
    found = Findings(
        revisions=Revisions(base="b" * 40, merge_base="m" * 40, head="h" * 40),
        policy=Policy.model_validate({"metrics": METRICS, **(policy or {})}),
        policy_sha256="0" * 64,
        protected=[],
        ungoverned=False,
        shallow=False,
        unchanged=False,
        rescored=False,
        test_set=TEST_SET,
        metrics=[METRIC],
        slices=[],
        guards=[],
        exact=[],
        near=[],
        known_to_baseline=[],
        seeds=3,
        approvals=[],
    )
    return judge(dataclasses.replace(found, **changes))


def test_all_good_is_a_pass_with_exit_code_0() -> None:
    assert (verdict().outcome, verdict().exit_code) == ("pass", 0)
    assert verdict().headline == "Pass: accuracy got better"


def test_a_model_that_is_the_baseline_passes_whatever_could_be_said_of_the_test_set() -> None:
    worn_out = TEST_SET.model_copy(update={"rows": 3, "uses": 99})
    same = verdict(unchanged=True, test_set=worn_out, exact=[Match("row-1", "row-9", 1.0)])
    assert (same.outcome, same.unchanged, same.reasons) == ("pass", True, [])
    assert same.headline.startswith("Unchanged: pass")
    edited = verdict(unchanged=True, protected=["policy/gate.yaml is edited by this change"])
    assert (edited.exit_code, edited.reasons[0].level) == (4, "approval")


def test_one_refused_metric_outweighs_everything() -> None:
    found = verdict(metrics=[METRIC, metric("inconclusive"), metric("refused")], approvals=["ada"])
    assert (found.outcome, found.exit_code) == ("refused", 3)
    assert found.headline == "Refused: accuracy is refused"


@pytest.mark.parametrize(
    ("action", "outcome", "approved"),
    [("block", "inconclusive", "inconclusive"), ("approve", "inconclusive", "pass"), ("warn", "pass", "pass")],
)
def test_the_policy_says_what_inconclusive_does(action: str, outcome: Outcome, approved: Outcome) -> None:
    policy = {"inconclusive": action}
    unclear = [metric("inconclusive")]
    assert verdict(policy, metrics=unclear).outcome == outcome
    assert verdict(policy, metrics=unclear, approvals=["ada"]).outcome == approved


def test_too_few_rows_never_pass_whatever_the_policy_does_with_doubt() -> None:
    few = TEST_SET.model_copy(update={"rows": 40, "clusters": 20})
    found = verdict({"inconclusive": "warn"}, test_set=few, approvals=["ada"])
    assert (found.outcome, found.exit_code) == ("inconclusive", 4)


def test_a_metric_with_too_few_rows_of_its_own_never_passes_whatever_the_policy_does_with_doubt() -> None:
    few = metric("inconclusive").model_copy(update={"too_few": True})
    found = verdict({"inconclusive": "warn"}, metrics=[few], approvals=["ada"])
    assert (found.outcome, found.exit_code) == ("inconclusive", 4)
    assert all(part in found.headline for part in ("200", "100", "accuracy"))


def test_a_metric_may_ask_for_fewer_rows_than_the_policy() -> None:
    few = TEST_SET.model_copy(update={"rows": 80, "clusters": 60})
    own = {"metrics": {"accuracy": METRICS["accuracy"] | {"min_rows": 60}}}
    assert verdict(own, test_set=few).outcome == "pass"
    assert verdict(test_set=few).outcome == "inconclusive"


def test_an_edited_policy_needs_approval() -> None:
    found = verdict(protected=["policy/gate.yaml is edited"])
    assert found.headline == "Needs approval: policy/gate.yaml is edited"
    assert found.exit_code == 4
    assert verdict(protected=["policy/gate.yaml is edited"], approvals=["ada"]).exit_code == 0


def test_a_change_that_brings_the_first_policy_cannot_say_that_it_needs_nobody() -> None:
    found = verdict({"protected_change": "warn"}, ungoverned=True)
    assert found.reasons[0].level == "approval"
    assert "policy/gate.yaml" in found.headline
    assert verdict({"protected_change": "warn"}, ungoverned=True, approvals=["ada"]).outcome == "pass"


def test_a_shallow_clone_is_warned_of() -> None:
    assert any("fetch-depth: 0" in r.text for r in verdict(shallow=True).reasons if r.level == "warning")


def test_test_rows_among_the_training_rows_refuse_and_are_named() -> None:
    found = verdict(exact=[Match("row-1", "row-9", 1.0)], approvals=["ada"])
    assert found.outcome == "refused"
    assert "row-1 = row-9" in found.headline
    assert found.contamination == {"exact": ["row-1 = row-9"]}


def test_near_copies_warn_where_the_policy_says_so() -> None:
    near = [Match("row-1", "row-9", 0.95)]
    assert verdict(near=near).outcome == "refused"
    assert verdict({"contamination": {"action": "warn"}}, near=near).outcome == "pass"


def test_a_baseline_that_knows_the_test_rows_is_no_fair_baseline() -> None:
    found = verdict(known_to_baseline=[Match("row-1", "row-9", 1.0)])
    assert (found.outcome, found.headline.partition(":")[0]) == ("inconclusive", "Needs approval")
    assert "row-1 = row-9" in found.headline


def test_guards_and_slices_refuse_too() -> None:
    guard = GuardResult(name="x", candidate=2, baseline=1, limit=1, outcome="refused", sentence="too slow")
    assert verdict(guards=[guard]).headline == "Refused: too slow"
    part = SliceResult(
        slice="language",
        value="sv",
        rows=99,
        candidate=0.1,
        baseline=0.5,
        difference=-0.4,
        low=-0.5,
        high=-0.3,
        p=0.001,
        outcome="refused",
        sentence="Swedish got worse",
    )
    assert verdict(slices=[part]).headline == "Refused: Swedish got worse"
    assert verdict(slices=[part.model_copy(update={"outcome": "warning"})]).outcome == "pass"


def test_a_worn_out_test_set_and_a_single_seed_are_said() -> None:
    reasons = verdict(test_set=TEST_SET.model_copy(update={"uses": 51}), seeds=1).reasons
    assert [reason.level for reason in reasons if "51" in reason.text] == ["warning"]
    assert [reason.level for reason in reasons if "seed" in reason.text] == ["note"]
    assert verdict(test_set=TEST_SET.model_copy(update={"uses": 51})).headline.startswith("Pass, with 1 warning")


def test_a_verdict_survives_its_own_json() -> None:
    found = verdict(exact=[Match("row-1", "row-9", 1.0)])
    assert Verdict.model_validate_json(found.model_dump_json()) == found
