import dataclasses
from typing import Any

import numpy as np
import pytest
from miniature import predictions
from paired_answers import outcomes, pair_of, random_classifiers

from tunegate.errors import InputError
from tunegate.gate.decision import decide_metrics, decide_slices
from tunegate.gate.policy import Policy
from tunegate.gate.scores import Paired, paired_of
from tunegate.gate.verdict import MetricResult

ACCURACY = {"role": "primary", "direction": "higher", "margin": 0.05, "floor": 0.4}


def policy(metrics: dict[str, Any] | None = None, **changes: Any) -> Policy:
    return Policy.model_validate({"metrics": metrics or {"accuracy": ACCURACY}, **changes})


def first(paired: Paired, **changes: Any) -> MetricResult:
    return decide_metrics(paired, policy(**changes))[0]


def without_baseline(paired: Paired) -> Paired:
    return dataclasses.replace(paired, baseline=None)


def test_a_model_that_answers_as_before_passes() -> None:
    result = first(pair_of(outcomes(178), clusters=np.arange(178) // 2))
    assert (result.outcome, result.difference) == ("pass", 0.0)
    assert all(value in result.sentence for value in ("50.0 % → 50.0 %", "90 %", "5 points"))


def test_a_clearly_better_model_is_said_to_be() -> None:
    result = first(pair_of(outcomes(400, won=60, lost=5)))
    assert result.outcome == "pass"
    assert result.mcnemar
    assert (result.mcnemar.fixed, result.mcnemar.broken) == (60, 5)
    assert result.low is not None
    assert result.baseline is not None
    assert 0 < result.low < result.candidate - result.baseline


def test_a_degraded_model_is_refused() -> None:
    result = first(pair_of(outcomes(400, won=10, lost=70), share=0.8))
    assert result.outcome == "refused"


def test_a_change_too_small_to_tell_is_inconclusive_and_says_what_would_tell() -> None:
    result = first(pair_of(outcomes(178, lost=12, won=8)))
    assert result.outcome == "inconclusive"
    assert result.needed_rows
    assert all(value in result.sentence for value in (f"{result.needed_rows:,}", "178", "5 points"))


def test_a_broken_floor_refuses_a_model_that_did_not_get_worse() -> None:
    result = first(pair_of(outcomes(400, won=40), share=0.3))
    assert result.outcome == "refused"
    assert "40.0 %" in result.sentence


@pytest.mark.parametrize("changes", [outcomes(99), outcomes(99, won=30)])
def test_too_few_rows_never_pass(changes: list[int]) -> None:
    result = first(pair_of(changes))
    assert result.outcome == "inconclusive"
    assert "99 of 100 rows" in result.sentence
    assert result.needed_rows
    assert result.needed_rows >= 100


def test_too_few_clusters_never_pass_and_the_rows_needed_fill_them() -> None:
    result = first(pair_of(outcomes(400, won=60), clusters=np.arange(400) // 10))
    assert result.outcome == "inconclusive"
    assert "40 of 50 groups" in result.sentence
    assert result.needed_rows
    assert result.needed_rows >= 500


def test_too_few_rows_are_still_refused_for_what_they_show() -> None:
    assert first(pair_of(outcomes(80, lost=30))).outcome == "refused"
    assert first(pair_of(outcomes(80), share=0.1)).outcome == "refused"


@pytest.mark.parametrize("change", [-1, 0, 1])
def test_one_row_decides_nothing(change: int) -> None:
    result = first(pair_of([change], share=1), metrics={"accuracy": ACCURACY | {"floor": None}}, min_rows=2)
    assert result.outcome == "inconclusive"
    assert result.low is None
    assert result.high is None


def test_two_models_that_are_always_right_pass_with_enough_rows() -> None:
    assert first(pair_of(outcomes(200), share=1)).outcome == "pass"
    assert first(pair_of(outcomes(50), share=1), min_rows=2, min_clusters=2).outcome == "inconclusive"


def test_two_models_that_are_always_wrong_break_the_floor() -> None:
    assert first(pair_of(outcomes(200), share=0)).outcome == "refused"
    assert first(pair_of([-1] * 200)).outcome == "refused"


def test_a_first_model_is_held_to_floors_alone() -> None:
    metrics = {"accuracy": ACCURACY, "nll": {"role": "guard", "direction": "lower", "margin": 0.1}}
    paired = without_baseline(pair_of(outcomes(200)))
    results = decide_metrics(paired, policy(metrics))
    assert [r.outcome for r in results] == ["pass", "pass"]
    assert results[0].baseline is results[0].difference is results[0].low is results[0].mcnemar is None
    assert decide_metrics(without_baseline(pair_of(outcomes(200), share=0.2)), policy(metrics))[0].outcome == "refused"
    assert decide_slices(paired, policy(slices={"by": ["language"]})) == []


def test_a_first_model_without_any_floor_is_not_passed_by_silence() -> None:
    paired = without_baseline(pair_of(outcomes(200)))
    result = first(paired, metrics={"accuracy": ACCURACY | {"floor": None}})
    assert result.outcome == "inconclusive"


def test_a_first_model_on_few_rows_is_inconclusive() -> None:
    assert first(without_baseline(pair_of(outcomes(99)))).outcome == "inconclusive"


def test_for_a_loss_lower_is_better() -> None:
    metrics = {"accuracy": ACCURACY, "nll": {"role": "guard", "direction": "lower", "margin": 0.1}}
    noise = np.random.default_rng(1).normal(0, 0.1, 200)
    for shift, outcome in ((-0.5, "pass"), (0.0, "pass"), (0.1, "inconclusive"), (0.5, "refused")):
        result = decide_metrics(pair_of(outcomes(200), nll=noise - noise.mean() + shift), policy(metrics))[1]
        assert result.outcome == outcome, result.sentence
        assert result.difference == pytest.approx(shift, abs=1e-6)
    floor = {"accuracy": ACCURACY, "nll": {"role": "guard", "direction": "lower", "floor": 0.9}}
    assert decide_metrics(pair_of(outcomes(200)), policy(floor))[1].outcome == "refused"


def test_a_metric_for_information_never_decides() -> None:
    metrics = {"accuracy": ACCURACY, "macro_f1": {"role": "info", "direction": "higher", "floor": 0.99}}
    result = decide_metrics(random_classifiers(200, 5, np.random.default_rng(1)), policy(metrics))[1]
    assert result.outcome == "pass"
    assert result.sentence.startswith("macro F1 ")
    assert result.low is not None


def test_a_margin_of_zero_asks_for_an_improvement() -> None:
    metrics = {"accuracy": ACCURACY | {"margin": 0}}
    result = first(pair_of(outcomes(200)), metrics=metrics)
    assert result.outcome == "inconclusive"
    assert first(pair_of(outcomes(200, won=30)), metrics=metrics).outcome == "pass"


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_a_metric_that_the_rows_cannot_have_is_an_error(name: str) -> None:
    paired = pair_of(outcomes(200))
    free = dataclasses.replace(paired, labelled=np.zeros(200, np.bool_), references=paired.references[:0])
    with pytest.raises(InputError, match=rf"labelled.*{name}") as caught:
        decide_metrics(free, policy({name: ACCURACY}))
    assert caught.value.place == f"policy/gate.yaml: metrics.{name}"
    with pytest.raises(InputError, match="free text"):
        decide_metrics(paired, policy({"exact_match": ACCURACY}))


def test_the_noise_between_seeds_is_told() -> None:
    result = decide_metrics(pair_of(outcomes(200)), policy(), seeds={"accuracy": 0.012})[0]
    assert result.seed_deviation == 0.012
    assert "±1.2 points" in result.sentence


def test_equal_files_give_an_equal_verdict_and_another_metric_does_not_move_it() -> None:
    paired = random_classifiers(200, 5, np.random.default_rng(1), group=2)
    more = policy({"nll": {"role": "guard", "direction": "lower", "margin": 1}, "accuracy": ACCURACY})
    assert decide_metrics(paired, more)[1] == decide_metrics(paired, policy())[0]


def test_a_metric_has_its_own_alpha_and_says_its_own_interval() -> None:
    paired = pair_of(outcomes(178, lost=8, won=8))
    usual, strict = first(paired), first(paired, metrics={"accuracy": ACCURACY | {"alpha": 0.01}})
    assert (usual.outcome, strict.outcome) == ("pass", "inconclusive")
    assert "90 % interval" in usual.sentence
    assert "98 % interval" in strict.sentence
    assert (usual.alpha, strict.alpha) == (0.05, 0.01)
    assert strict.low is not None
    assert usual.low is not None
    assert strict.low < usual.low
    assert strict.needed_rows
    assert strict.needed_rows > 178


def test_a_metric_has_its_own_clusters_whatever_the_other_metrics_have() -> None:
    rules = {"role": "guard", "direction": "lower", "margin": 0.3}
    paired = pair_of(outcomes(200), clusters=np.arange(200) // 2, nll=np.repeat(np.tile([0.5, -0.5], 50), 2))
    metrics = {"accuracy": ACCURACY, "nll": rules | {"cluster": "id"}}
    alike, own = decide_metrics(paired, policy(metrics | {"nll": rules}))[1], decide_metrics(paired, policy(metrics))[1]
    assert own.high is not None
    assert own.high == pytest.approx((alike.high or 0.0) / 2**0.5, rel=0.1)
    by_id = decide_metrics(paired, policy({"accuracy": ACCURACY, "nll": rules}, cluster="id"))[1]
    assert by_id == own
    assert decide_metrics(paired.clustered("id"), policy(metrics)) == decide_metrics(paired, policy(metrics))


def test_a_metric_has_its_own_least_number_of_rows() -> None:
    rules = ACCURACY | {"min_rows": 300}
    few = first(pair_of(outcomes(200, won=40)), metrics={"accuracy": rules})
    assert (few.outcome, few.too_few) == ("inconclusive", True)
    assert "200 of 300 rows" in few.sentence
    assert few.needed_rows
    assert few.needed_rows >= 300
    enough = first(pair_of(outcomes(80, won=20)), metrics={"accuracy": ACCURACY | {"min_rows": 60}})
    assert (enough.outcome, enough.too_few) == ("pass", False)
    shown = {"macro_f1": {"role": "info", "direction": "higher", "min_rows": 300}, "accuracy": ACCURACY}
    assert not first(pair_of(outcomes(200)), metrics=shown).too_few


def sliced(english: list[int], swedish: list[int], **changes: Any) -> list[Any]:
    paired = pair_of(english + swedish)
    languages: list[str | None] = ["en"] * len(english) + ["sv"] * len(swedish)
    paired = dataclasses.replace(paired, slices={"language": languages})
    return decide_slices(paired, policy(slices={"by": ["language"], "margin": 0.1, **changes}))


@pytest.mark.parametrize(("action", "outcome"), [("refuse", "refused"), ("warn", "warning")])
def test_a_slice_that_is_clearly_worse_than_its_margin_is_named(action: str, outcome: str) -> None:
    english, swedish = sliced(outcomes(200), outcomes(100, lost=40), action=action)
    assert (english.outcome, swedish.outcome) == ("pass", outcome)
    assert (swedish.slice, swedish.value, "10 points" in swedish.sentence) == ("language", "sv", True)
    assert swedish.p is not None
    assert swedish.p < 0.001


def test_slices_are_tested_at_the_alpha_and_in_the_clusters_of_the_primary_metric() -> None:
    paired = pair_of(outcomes(100, lost=20), clusters=np.arange(100) // 2)
    paired = dataclasses.replace(paired, slices={"all": ["x"] * 100})

    def found(**own: Any) -> Any:
        return decide_slices(paired, policy({"accuracy": ACCURACY | own}, slices={"by": ["all"], "action": "refuse"}))[
            0
        ]

    assert (found(cluster="id").outcome, found(cluster="id", alpha=0.001).outcome) == ("refused", "pass")
    assert "99.8 % interval" in found(alpha=0.001).sentence
    assert found().p > found(cluster="id").p


def test_a_slice_that_may_or_may_not_be_worse_is_let_pass() -> None:
    _, swedish = sliced(outcomes(200), outcomes(60, lost=8))
    assert swedish.outcome == "pass"
    assert swedish.low is not None
    assert swedish.low < -0.1


def test_slices_are_corrected_for_their_number() -> None:
    alone = decide_slices(
        dataclasses.replace(pair_of(outcomes(100, lost=18)), slices={"all": ["x"] * 100}),
        policy(slices={"by": ["all"]}),
    )[0]
    names: list[str | None] = [str(i // 100) for i in range(1000)]
    many = dataclasses.replace(pair_of(outcomes(100, lost=18) + outcomes(900)), slices={"all": names})
    corrected = decide_slices(many, policy(slices={"by": ["all"]}))
    assert alone.p is not None
    assert corrected[0].p == pytest.approx(10 * alone.p, rel=0.3)
    assert corrected[1].p == 1.0


def test_a_ruined_slice_is_refused_also_among_more_slices_than_the_resamples_can_tell() -> None:
    slices, resamples = 30, 200  # the smallest counted share, 1 / 201, times 30 is above alpha
    paired = pair_of(outcomes(60, lost=40) + outcomes(60 * (slices - 1)), share=1)
    paired = dataclasses.replace(paired, slices={"part": [str(i // 60) for i in range(60 * slices)]})
    found = decide_slices(paired, policy(slices={"by": ["part"], "action": "refuse"}), resamples=resamples)
    assert [part.value for part in found if part.outcome == "refused"] == ["0"]


def test_a_small_slice_is_counted_not_tested() -> None:
    _, swedish = sliced(outcomes(200), outcomes(29, lost=29))
    assert (swedish.outcome, swedish.rows, swedish.p, swedish.low) == ("untested", 29, None, None)


def test_slices_of_one_row_do_not_break_anything() -> None:
    english, swedish = sliced(outcomes(200), [-1], min_rows=1)
    assert (english.outcome, swedish.outcome) == ("pass", "untested")


def test_a_slice_that_no_row_has_is_an_error() -> None:
    with pytest.raises(InputError, match="'langauge'") as caught:
        decide_slices(pair_of(outcomes(200)), policy(slices={"by": ["langauge"]}))
    assert (caught.value.place, caught.value.remedy[-8:]) == ("policy/gate.yaml: slices.by", "language")


def test_rows_without_the_slice_are_in_none_of_its_values() -> None:
    paired = dataclasses.replace(pair_of(outcomes(200)), slices={"language": ["en"] * 150 + [None] * 50})
    (english,) = decide_slices(paired, policy(slices={"by": ["language"]}))
    assert (english.value, english.rows) == ("en", 150)


def test_slices_of_a_loss_and_of_a_macro_average_are_tested_too() -> None:
    paired = random_classifiers(300, 3, np.random.default_rng(1))
    paired = dataclasses.replace(paired, slices={"half": ["a", "b"] * 150})
    for name, direction in (("nll", "lower"), ("macro_f1", "higher")):
        rules = policy({name: {"role": "primary", "direction": direction}}, slices={"by": ["half"]})
        assert [part.outcome for part in decide_slices(paired, rules)] == ["pass", "pass"]


def test_tables_of_predictions_are_decided_from_end_to_end() -> None:
    good, bad = predictions([True] * 150 + [False] * 50), predictions([True] * 100 + [False] * 100)
    paired = paired_of(bad, good, cluster="group", ignore_case=False)
    result = first(paired)
    assert (result.candidate, result.baseline, result.outcome) == (0.5, 0.75, "refused")
