from typing import Any

import pytest
from miniature import Miniature, answers, predictions

from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.gate.policy import GuardPolicy
from tunegate.gate.verdict import GuardResult
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.review.guards import TIMINGS, decide_guards
from tunegate.tables import read_parquet


def guards(miniature: Miniature, **policy: float) -> list[GuardResult]:
    repository = open_repository(miniature.root)
    with open_outputs(miniature.root) as outputs:
        base = Snapshot(repository, repository.resolve("HEAD"), outputs)
        candidate = Snapshot(repository, None, outputs)
        table = read_parquet(candidate.output("models/predictions.parquet"))
        return decide_guards(GuardPolicy(**policy), candidate, base, table)


def rerun(miniature: Miniature) -> None:
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)


def edit(miniature: Miniature, path: str, **changes: Any) -> None:
    write_json(miniature.root / path, read_json(miniature.root / path) | changes)
    rerun(miniature)


def answer_in(miniature: Miniature, seconds: float) -> None:
    miniature.predict(predictions(answers(200, 0.7), seconds=seconds))
    rerun(miniature)


def test_slower_than_ever_on_the_same_hardware_is_refused(miniature: Miniature) -> None:
    assert guards(miniature, latency_ratio=1.5)[0].outcome == "pass"
    answer_in(miniature, seconds=0.2)
    result = guards(miniature, latency_ratio=1.5)[0]
    assert result.outcome == "refused"
    assert "2.00 times the slowest of 1 recorded time" in result.sentence


def test_the_report_in_git_is_not_believed(miniature: Miniature) -> None:
    answer_in(miniature, seconds=0.2)
    timings = read_json(miniature.root / TIMINGS)
    timings["tuned"]["p95_seconds"] = 0.0001
    write_json(miniature.root / TIMINGS, timings)
    assert guards(miniature, latency_ratio=1.5)[0].outcome == "refused"


def test_seconds_of_other_hardware_are_not_compared(miniature: Miniature) -> None:
    answer_in(miniature, seconds=50.0)
    edit(miniature, "inputs/adapter/evaluate_cost.json", hardware="a slower processor")
    result = guards(miniature, latency_ratio=1.5)[0]
    assert result.outcome == "warning"
    assert "none recorded before on a slower processor" in result.sentence


def test_a_package_that_grew_is_refused(miniature: Miniature) -> None:
    (miniature.root / "inputs/package/model.gguf").write_text("G" * 3000)
    rerun(miniature)
    assert guards(miniature, package_ratio=2.0)[0].outcome == "refused"
    assert guards(miniature, package_ratio=3.0)[0].outcome == "pass"


def test_too_few_trained_tokens_and_too_many_dropped_rows_are_refused(miniature: Miniature) -> None:
    assert [g.outcome for g in guards(miniature, trained_token_share=0.25, dropped_row_share=0.05)] == ["pass"] * 2
    assert guards(miniature, trained_token_share=0.26)[0].outcome == "refused"
    rows = {"rows": {"in": 300, "out": 280}, "reasons": {"over_length": 20}}
    edit(miniature, "inputs/tokens/ledger.json", **rows)
    assert guards(miniature, dropped_row_share=0.05)[0].outcome == "refused"


def test_what_was_not_recorded_does_not_pass(miniature: Miniature) -> None:
    edit(miniature, "inputs/tokens/ledger.json", notes={})
    with pytest.raises(InputError, match=r"notes\.train_tokens_trained_share is no finite number"):
        guards(miniature, trained_token_share=0.1)
