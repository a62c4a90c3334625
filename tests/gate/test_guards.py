from typing import Any

import pytest
from miniature import Miniature

from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.gate.guards import DATA, TIMINGS, decide_guards
from tunegate.gate.policy import GuardPolicy
from tunegate.gate.verdict import GuardResult
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot


def guards(miniature: Miniature, **policy: float) -> list[GuardResult]:
    repository = open_repository(miniature.root)
    with open_outputs(miniature.root) as outputs:
        base = Snapshot(repository, repository.resolve("HEAD"), outputs)
        return decide_guards(GuardPolicy(**policy), Snapshot(repository, None, outputs), base)


def edit(miniature: Miniature, path: str, *keys: str, value: Any) -> None:
    content = read_json(miniature.root / path)
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    write_json(miniature.root / path, content)


def test_slower_than_ever_on_the_same_hardware_is_refused(miniature: Miniature) -> None:
    assert guards(miniature, latency_ratio=1.5)[0].outcome == "pass"
    edit(miniature, TIMINGS, "tuned", "p95_seconds", value=0.2)
    result = guards(miniature, latency_ratio=1.5)[0]
    assert result.outcome == "refused"
    assert "2.00 times the slowest of 1 recorded time" in result.sentence


def test_seconds_of_other_hardware_are_not_compared(miniature: Miniature) -> None:
    edit(miniature, TIMINGS, "tuned", "p95_seconds", value=50.0)
    edit(miniature, TIMINGS, "evaluate", "hardware", value="a slower processor")
    result = guards(miniature, latency_ratio=1.5)[0]
    assert result.outcome == "warning"
    assert "none recorded before on a slower processor" in result.sentence


def test_a_package_that_grew_is_refused(miniature: Miniature) -> None:
    (miniature.root / "inputs/package/model.gguf").write_text("G" * 3000)
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    assert guards(miniature, package_ratio=2.0)[0].outcome == "refused"
    assert guards(miniature, package_ratio=3.0)[0].outcome == "pass"


def test_too_few_trained_tokens_and_too_many_dropped_rows_are_refused(miniature: Miniature) -> None:
    assert [g.outcome for g in guards(miniature, trained_token_share=0.25, dropped_row_share=0.05)] == ["pass"] * 2
    assert guards(miniature, trained_token_share=0.26)[0].outcome == "refused"
    edit(miniature, DATA, "rows", "out", value=280)
    assert guards(miniature, dropped_row_share=0.05)[0].outcome == "refused"


def test_what_was_not_recorded_does_not_pass(miniature: Miniature) -> None:
    edit(miniature, DATA, "stages", value=[])
    assert guards(miniature, trained_token_share=0.1)[0].outcome == "refused"
    edit(miniature, TIMINGS, "tuned", "p95_seconds", value=None)
    with pytest.raises(InputError, match=r"tuned\.p95_seconds is no finite number"):
        guards(miniature, latency_ratio=2.0)
