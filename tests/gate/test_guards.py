import pytest

from tunegate.gate.guards import Measurements, decide_guards
from tunegate.gate.policy import GuardPolicy
from tunegate.gate.verdict import GuardResult

HARDWARE = "a processor"


def decide(policy: dict[str, float], **values: object) -> GuardResult:
    (result,) = decide_guards(GuardPolicy.model_validate(policy), Measurements(**values))  # type: ignore[arg-type]
    return result


@pytest.mark.parametrize(("seconds", "outcome"), [(0.3, "pass"), (0.31, "refused")])
def test_time_per_answer_is_compared_with_the_slowest_recorded(seconds: float, outcome: str) -> None:
    values = {"p95_seconds": seconds, "hardware": HARDWARE, "recorded_p95_seconds": [0.1, 0.2]}
    result = decide({"latency_ratio": 1.5}, **values)
    assert (result.outcome, result.candidate, result.baseline, result.limit) == (outcome, seconds, 0.2, 1.5)


def test_time_on_hardware_without_a_record_warns_and_time_without_hardware_refuses() -> None:
    values = {"p95_seconds": 9.0, "recorded_p95_seconds": []}
    assert decide({"latency_ratio": 1.5}, hardware=HARDWARE, **values).outcome == "warning"
    assert decide({"latency_ratio": 1.5}, **values).outcome == "refused"


def test_a_recorded_time_of_zero_is_not_a_licence() -> None:
    values = {"p95_seconds": 0.1, "hardware": HARDWARE, "recorded_p95_seconds": [0.0]}
    assert decide({"latency_ratio": 1.5}, **values).outcome == "refused"


@pytest.mark.parametrize(("limit", "outcome"), [(3.0, "pass"), (2.9, "refused")])
def test_a_package_may_grow_up_to_its_bound(limit: float, outcome: str) -> None:
    result = decide({"package_ratio": limit}, package_bytes=3000, baseline_package_bytes=1000)
    assert (result.outcome, result.candidate, result.baseline) == (outcome, 3000, 1000)


def test_a_package_that_is_not_locked_is_refused() -> None:
    assert decide({"package_ratio": 9.0}, baseline_package_bytes=1000).outcome == "refused"


@pytest.mark.parametrize(("limit", "outcome"), [(0.25, "pass"), (0.26, "refused")])
def test_too_few_trained_tokens_are_refused(limit: float, outcome: str) -> None:
    assert decide({"trained_token_share": limit}, trained_token_share=0.25).outcome == outcome


@pytest.mark.parametrize(("rows_out", "outcome"), [(96, "pass"), (94, "refused")])
def test_too_many_dropped_rows_are_refused(rows_out: int, outcome: str) -> None:
    assert decide({"dropped_row_share": 0.05}, rows_in=100, rows_out=rows_out).outcome == outcome


def test_no_row_at_all_is_refused() -> None:
    assert decide({"dropped_row_share": 0.05}).candidate == 1.0


def test_a_first_model_is_compared_with_nothing_and_results_are_in_the_policys_order() -> None:
    policy = GuardPolicy(latency_ratio=1.5, package_ratio=2.0, trained_token_share=0.1, dropped_row_share=0.5)
    measured = Measurements(p95_seconds=0.1, hardware=HARDWARE, package_bytes=1, trained_token_share=0.2, rows_in=2)
    results = decide_guards(policy, measured)
    assert [(r.name, r.outcome) for r in results] == [("trained tokens", "pass"), ("dropped rows", "refused")]
