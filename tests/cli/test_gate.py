import json
import os
import subprocess
from pathlib import Path

import pytest
from miniature import Miniature, answers, predictions
from typer.testing import CliRunner
from verdicts import metric, verdict

from tunegate.cli import app
from tunegate.cli.gate import as_text
from tunegate.gate.verdict import Reason, Revisions, Verdict


def test_the_command_prints_the_verdict_and_exits_with_it(miniature: Miniature, tmp_path: Path) -> None:
    def gate(*options: str, code: int) -> str:
        return miniature.run("tunegate", "gate", "--base", "main", *options, cwd=miniature.root, code=code)

    miniature.git("checkout", "-qb", "change")
    miniature.change(train__learning_rate=0.1)
    miniature.predict(predictions(answers(200, 0.9, seed=1)))
    miniature.commit("A better model")
    text = gate("--json", str(tmp_path / "verdict.json"), code=0)
    assert text.startswith("Pass: accuracy")
    written = Verdict.model_validate_json((tmp_path / "verdict.json").read_text())
    assert written.outcome == "pass"
    assert all(part in " ".join(text.split()) for part in (written.headline, *(r.text for r in written.reasons)))
    miniature.predict(predictions(answers(200, 0.4, seed=1)))
    miniature.commit("A harmful change")
    assert "Refused: " in gate(code=3)
    environment = os.environ | {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["tunegate", "gate", "--bse", "main"], cwd=miniature.root, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 2


def rows_of(text: str) -> dict[str, str]:
    """The table below a verdict."""
    lines = text.rsplit("\n\n", maxsplit=1)[-1].splitlines()
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in lines}


def test_a_verdict_for_a_terminal_names_what_was_compared_on_what() -> None:
    rows = rows_of(as_text(verdict()))
    assert (rows["candidate"], rows["baseline"], rows[""]) == (
        "c" * 12,
        "b" * 12,
        "predictions of the baseline: as locked",
    )
    assert rows["test set"] == f"{'e' * 12}, 200 rows in 100 groups"
    assert rows["policy"] == f"{'d' * 12}, alpha 0.05, 10,000 resamples"


@pytest.mark.parametrize(
    ("changes", "end"),
    [({"rescored": True}, "again on this test set"), ({"metrics": [metric(baseline=None)]}, "none: the first model")],
)
def test_it_says_where_the_predictions_of_the_baseline_come_from(changes: dict[str, object], end: str) -> None:
    assert rows_of(as_text(verdict(**changes)))[""].endswith(end)


def test_long_reasons_are_wrapped_and_a_working_tree_is_not_shortened_like_a_commit() -> None:
    head = "the working tree of main"
    reasons = [Reason(level="warning", text="slow " * 60)]
    revisions = Revisions(base="a" * 40, merge_base="b" * 40, head=head)
    text = as_text(verdict(reasons=reasons, revisions=revisions))
    assert max(map(len, text.splitlines())) <= 110
    assert text.count("slow") == 60 + verdict().headline.count("slow")
    assert rows_of(text)["candidate"] == head


def test_the_schema_needs_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["gate", "--schema"])
    assert (shown.exit_code, json.loads(shown.stdout)["title"]) == (0, "Verdict")
