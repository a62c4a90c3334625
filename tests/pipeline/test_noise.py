"""The noise floor with a real model: the same recipe under two seeds, in scratch clones."""

from collections.abc import Callable
from pathlib import Path

from tunegate.experiments.noise import FILE
from tunegate.files import read_json
from tunegate.review.evidence import open_evidence

Run = Callable[..., str]


def test_two_seeds_are_trained_recorded_and_told_by_the_gate(project: Path, run: Run) -> None:
    before = run("git", "status", "--porcelain", cwd=project)
    said = run("tunegate", "noise", "--seeds", "2", cwd=project)
    assert f"recorded in {FILE}" in said
    [record] = read_json(project / FILE)["recipes"]
    assert sorted(record["seeds"]) == ["7", "8"]
    # The first seed is the project's own, whose run is remembered: the very metrics of its report.
    assert record["seeds"]["7"] == read_json(project / "reports/metrics.json")["tuned"]
    assert record["seeds"]["8"]["nll"] != record["seeds"]["7"]["nll"]
    assert run("git", "status", "--porcelain", cwd=project) == before + f"?? {FILE}\n"

    run("git", "add", FILE, cwd=project)
    run("git", "commit", "-qm", "The noise of this recipe", cwd=project)
    with open_evidence(project, base="HEAD~1") as judged:
        nll = next(metric for metric in judged.verdict.metrics if metric.name == "nll")
        assert judged.verdict.seeds == 2
        assert nll.seed_deviation is not None
        assert "seeds alone move it by" in nll.sentence

    again = run("tunegate", "noise", "--seeds", "2", "--json", cwd=project)
    assert "Running stage" not in again
