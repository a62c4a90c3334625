import json
from pathlib import Path

import pytest
from lock_branches import merge_line_by_line, set_param, verify
from miniature import Miniature

from tunegate.files import read_text, write_json, write_text


def test_a_finished_project_is_proven_stage_by_stage(miniature: Miniature) -> None:
    lines = dict(line.split(maxsplit=1) for line in verify(miniature).splitlines() if "  " in line)
    assert lines["train"] == "run cache here"
    assert lines["score"] == "run again here"


def test_a_silent_mis_merge_is_refused_with_the_stage_though_dvc_says_up_to_date(branches: Miniature) -> None:
    merge_line_by_line(branches)
    before = branches.git("status", "--porcelain", "--branch")
    said = verify(branches, "--merge", "main", code=3)
    assert "NOT PROVEN (unproven): no such run in the run cache here; no DVC remote is configured" in said
    assert "dvc.lock: not proven: train: " in said
    assert "`tunegate lock repair`" in said
    assert branches.git("status", "--porcelain", "--branch") == before

    branches.git("merge", "-q", "--no-edit", "main")
    branches.run("dvc", "checkout", "-q", cwd=branches.root)
    assert "up to date" in branches.run("dvc", "status", cwd=branches.root)
    assert "up to date" in branches.run("dvc", "repro", cwd=branches.root)
    verify(branches, "--head", "HEAD", "--quick", code=3)


def test_a_mis_merge_is_mended_by_repair_and_repro(branches: Miniature) -> None:
    merge_line_by_line(branches)
    branches.git("merge", "-q", "--no-edit", "main")
    branches.run("dvc", "checkout", "-q", cwd=branches.root)
    assert "train: dropped: no such run" in branches.run("tunegate", "lock", "repair", cwd=branches.root)
    assert "Running stage 'train'" in branches.run("dvc", "repro", cwd=branches.root)
    branches.commit("Mended", repro=False)
    verify(branches, "--head", "HEAD")
    assert "only runs that happened" in branches.run("tunegate", "lock", "repair", cwd=branches.root)


def test_a_lock_that_both_sides_changed_is_a_conflict_with_a_remedy_by_default(branches: Miniature) -> None:
    said = verify(branches, "--merge", "main", code=3)
    assert "merge conflicts in dvc.lock" in said
    assert "tunegate setup-git" in said
    assert "dvc repro" in said


def test_json_says_state_and_reason_of_every_stage(miniature: Miniature) -> None:
    set_param(miniature, "package", "tolerance", 0.5)
    said = verify(miniature, "--json", "--quick", code=3)
    found = json.loads(said[: said.rindex("\n}\n") + 3])
    assert found["proven"] is False
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert stages["package"] == {
        "stage": "package",
        "state": "stale",
        "how": "",
        "problems": ["params.yaml:package.tolerance: ran with 0.001, here 0.5"],
    }
    assert stages["score"]["how"] == "fits, not run again"


def test_before_a_push_a_stage_may_wait_for_its_run_but_not_claim_one(miniature: Miniature) -> None:
    set_param(miniature, "train", "rank", 4)
    verify(miniature, "--quick", "--allow-stale")
    write_json(miniature.root / "reports/metrics.json", {"edited": 1})
    assert "reports/metrics.json" in verify(miniature, "--quick", "--allow-stale", code=3)


@pytest.mark.parametrize("option", ["--quick", "--allow-stale"])
def test_scoring_again_without_the_proof_is_a_wrong_command(miniature: Miniature, option: str) -> None:
    assert "--rescore needs the whole proof" in verify(miniature, "--rescore", "3", option, code=2)


def test_outside_of_git_verify_says_what_is_missing(miniature: Miniature, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "not a git repository" in miniature.run("tunegate", "verify", cwd=empty, code=1)
    assert "no such revision" in verify(miniature, "--merge", "nowhere", code=1)


def test_a_shallow_clone_names_what_to_fetch_before_a_merge_is_verified(branches: Miniature, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    branches.run(
        "git", "clone", "-q", "--depth=1", "--no-single-branch", f"file://{branches.root}", str(clone), cwd=tmp_path
    )
    said = branches.run("tunegate", "verify", "--merge", "origin/main", cwd=clone, code=1)
    assert "no merge base" in said
    assert "git fetch --unshallow" in said


def test_a_lock_with_conflict_markers_is_an_error_that_names_the_line(miniature: Miniature) -> None:
    lock = miniature.root / "dvc.lock"
    write_text(lock, read_text(lock).replace("  train:", "<<<<<<< HEAD\n  train:"))
    assert "dvc.lock:" in verify(miniature, code=1)
