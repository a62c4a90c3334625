import subprocess
from pathlib import Path

import pytest

from tunegate.repository.working_copy import UNVERSIONED, checkout


@pytest.fixture(autouse=True)
def own_git_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A Person")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "person@example.org")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "params.yaml").write_text("a: 1\n")
    (folder / "dvc.lock").write_text("old\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def test_a_clean_checkout_tells_commit_and_branch(repository: Path) -> None:
    state = checkout(repository)
    assert (state.commit, state.branch, state.dirty) == (git(repository, "rev-parse", "HEAD"), "main", False)
    assert state.short == state.commit[:8]


def test_a_changed_file_makes_it_dirty(repository: Path) -> None:
    (repository / "params.yaml").write_text("a: 2\n")
    state = checkout(repository)
    assert state.dirty
    assert state.short == state.commit[:8] + "+"


def test_a_new_file_makes_it_dirty(repository: Path) -> None:
    (repository / "rows.jsonl").write_text("{}\n")
    assert checkout(repository).dirty


def test_results_that_a_pipeline_rewrites_do_not_make_it_dirty(repository: Path) -> None:
    (repository / "dvc.lock").write_text("new\n")
    (repository / "reports").mkdir()
    (repository / "reports" / "metrics.json").write_text("{}\n")
    assert not checkout(repository, results=["dvc.lock", "reports"]).dirty


def test_a_folder_outside_git_is_unversioned(tmp_path: Path) -> None:
    state = checkout(tmp_path)
    assert (state.commit, state.branch, state.dirty) == (UNVERSIONED, "", True)
    assert state.short == UNVERSIONED


def test_a_repository_without_a_commit_is_unversioned(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert checkout(tmp_path).commit == UNVERSIONED


def test_a_machine_without_git_is_unversioned(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert checkout(repository).commit == UNVERSIONED


def test_a_shallow_clone_with_a_detached_head_knows_its_commit(repository: Path, tmp_path: Path) -> None:
    (repository / "params.yaml").write_text("a: 3\n")
    git(repository, "commit", "--quiet", "--all", "-m", "two")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), str(shallow))
    git(shallow, "checkout", "--quiet", "--detach")
    state = checkout(shallow)
    assert (state.commit, state.branch, state.dirty) == (git(repository, "rev-parse", "HEAD"), "", False)
