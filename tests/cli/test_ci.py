import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lock_branches import merge_line_by_line
from miniature import Miniature, answers, predictions

from tunegate.files import parse_json, read_json, read_text


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No CI around these tests; what a step says to a workflow goes to a file."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "GITLAB_", "CI", "TUNEGATE_")) and name != "TUNEGATE_TEST_FORKSERVER":
            monkeypatch.delenv(name)
    monkeypatch.setenv("TUNEGATE_RESCORE", "0")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "said"))


def ci(made: Miniature, *arguments: str, code: int = 0) -> str:
    return made.run("tunegate", "ci", *arguments, cwd=made.root, code=code)


def propose(made: Miniature, share: float, *, repro: bool) -> None:
    made.git("checkout", "-qb", "tune")
    made.predict(predictions(answers(200, share, seed=3)))
    made.change(train__learning_rate=0.1)
    made.commit("Another model", repro=repro)


def test_verify_says_that_the_run_is_missing_and_is_no_failure(miniature: Miniature, tmp_path: Path) -> None:
    propose(miniature, 0.9, repro=False)
    assert "no run yet of train" in ci(miniature, "verify")
    assert read_text(tmp_path / "said") == "run=missing\n"


def test_verify_proves_every_stage_and_says_so(miniature: Miniature, tmp_path: Path) -> None:
    propose(miniature, 0.9, repro=True)
    lines = ci(miniature, "verify").splitlines()
    assert "train     run cache" in "\n".join(lines)
    assert "`dvc repro --pull --allow-missing` would run nothing that was not just run again" in lines
    assert read_text(tmp_path / "said") == "run=present\n"


def test_verify_refuses_what_the_merge_with_the_base_would_lock(branches: Miniature, tmp_path: Path) -> None:
    merge_line_by_line(branches)
    assert "not proven: train: no such run" in ci(branches, "verify", "--base", "main", code=3)
    assert not (tmp_path / "said").exists()


def test_train_leaves_a_branch_that_is_not_at_the_checked_out_commit_alone(miniature: Miniature) -> None:
    propose(miniature, 0.9, repro=False)
    said = ci(miniature, "train", "--head", "main", code=3)
    assert "main: the branch is at" in said
    miniature.git("checkout", "-q", "--detach")
    assert "no branch is checked out to commit to" in ci(miniature, "train", code=3)


def test_train_without_a_dvc_remote_says_what_is_missing_before_it_commits(miniature: Miniature) -> None:
    propose(miniature, 0.9, repro=False)
    head = miniature.git("rev-parse", "HEAD")
    assert "no DVC remote to push to" in ci(miniature, "train", code=1)
    assert miniature.git("rev-parse", "HEAD") == head


def test_gate_and_report_write_into_the_given_folder(
    miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose(miniature, 0.2, repro=True)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert ci(miniature, "gate", "--out", "build/x", code=3).startswith("Refused: ")
    verdict = read_json(miniature.root / "build/x/verdict.json")
    assert (verdict["outcome"], verdict["revisions"]["head"]) == ("refused", miniature.git("rev-parse", "HEAD"))
    ci(miniature, "report", "--out", "build/x")
    assert "Refused" in read_text(miniature.root / "build/x/report.html")
    assert read_text(tmp_path / "summary.md") == read_text(miniature.root / "build/x/report.md")


def test_publish_without_a_forge_is_a_note_and_a_file(miniature: Miniature) -> None:
    propose(miniature, 0.9, repro=True)
    said = ci(miniature, "publish")
    path = said.split("comment: ")[1].strip()
    assert read_text(miniature.root / path).startswith("<!-- tunegate -->\n")
    note = parse_json(miniature.git("notes", "--ref=tunegate", "show", "HEAD"), place="note")
    assert note["tunegate/gate"]["state"] == "success"


def test_an_approval_is_noted_for_a_commit(miniature: Miniature) -> None:
    miniature.git("config", "user.email", "grace@firm.example")
    head = miniature.git("rev-parse", "HEAD")
    assert ci(miniature, "approve") == f"{head[:12]}: approved by grace@firm.example\n"


def test_an_unknown_forge_is_a_usage_error(miniature: Miniature, run: Callable[..., str]) -> None:
    assert "--forge: no such forge (got 'gitea')" in ci(miniature, "verify", "--forge", "gitea", code=2)
