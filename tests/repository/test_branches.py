import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.errors import InputError, MachineError, RefusedError, UsageError
from tunegate.files import write_text
from tunegate.repository import branches
from tunegate.repository.lock import Entry
from tunegate.repository.revisions import Repository, open_repository

Run = Callable[..., str]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a bare repository, with one commit on main; git knows no one here."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "clone")
    folder = tmp_path / "clone"
    (folder / "dvc.lock").write_text("one\n")
    (folder / ".gitignore").write_text("/model\n")
    git(folder, "checkout", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=ada", "-c", "user.email=ada@firm.example", "commit", "-q", "-m", "first")
    git(folder, "push", "-q", "origin", "main")
    return folder


def test_the_results_of_a_run_are_the_lock_and_what_dvc_does_not_cache(clone: Path) -> None:
    for name in ("model", "metrics.json"):
        (clone / name).write_text("made")
    outs = [{"path": path, "md5": "0" * 32} for path in ("model", "metrics.json", "gone.json")]
    lock = {"score": Entry("score", {"cmd": "x", "outs": outs})}
    assert branches.results_of(open_repository(clone), lock) == ["dvc.lock", "metrics.json"]


def test_a_commit_of_results_holds_nothing_else_and_skips_the_hooks_for_people(clone: Path) -> None:
    hook = clone / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    for name in ("dvc.lock", ".gitignore", "metrics.json"):
        (clone / name).write_text("two\n")
    git(clone, "add", ".gitignore")
    sha = branches.commit(open_repository(clone), ["dvc.lock", "metrics.json"], "results")
    assert sha == git(clone, "rev-parse", "HEAD")
    assert git(clone, "show", "--name-only", "--format=%an <%ae>").split("\n\n") == [
        "tunegate <tunegate@localhost>",
        "dvc.lock\nmetrics.json",
    ]
    assert git(clone, "status", "--porcelain") == "M  .gitignore"


def test_nothing_new_is_no_commit(clone: Path) -> None:
    assert branches.commit(open_repository(clone), ["dvc.lock"], "results") is None


def test_a_push_moves_the_branch_forward_and_never_over_anothers_work(clone: Path, tmp_path: Path) -> None:
    repository = open_repository(clone)
    (clone / "dvc.lock").write_text("two\n")
    sha = branches.commit(repository, ["dvc.lock"], "results")
    assert sha
    git(tmp_path, "clone", "-q", "origin.git", "other")
    other = ["-c", "user.name=grace", "-c", "user.email=grace@firm.example"]
    git(tmp_path / "other", *other, "commit", "-q", "--allow-empty", "-m", "hers")
    git(tmp_path / "other", "push", "-q", "origin", "main")
    hers = git(tmp_path / "other", "rev-parse", "HEAD")
    with pytest.raises(RefusedError, match="the branch moved while the run went on"):
        branches.push(repository, sha, "main", environment={})
    assert git(tmp_path / "origin.git", "rev-parse", "main") == hers
    branches.push(repository, sha, "results", environment={})
    assert git(tmp_path / "origin.git", "rev-parse", "results") == sha


def test_a_push_that_is_not_permitted_says_so(clone: Path, tmp_path: Path) -> None:
    hook = tmp_path / "origin.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'no writing here' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(MachineError, match="no writing here"):
        branches.push(open_repository(clone), git(clone, "rev-parse", "HEAD"), "new", environment={})


def test_a_commit_is_fetched_by_its_ref_where_it_is_not_here(clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "origin.git", "other")
    other = ["-c", "user.name=grace", "-c", "user.email=grace@firm.example"]
    git(tmp_path / "other", *other, "commit", "-q", "--allow-empty", "-m", "hers")
    git(tmp_path / "other", "push", "-q", "origin", "HEAD:refs/pull/7/head")
    hers = git(tmp_path / "other", "rev-parse", "HEAD")
    branches.fetch(open_repository(clone), hers, ref="refs/pull/7/head", environment={})
    assert git(clone, "cat-file", "-t", hers) == "commit"
    assert git(clone, "status", "--porcelain") == ""


def test_a_commit_that_origin_no_longer_has_there_is_an_error(clone: Path) -> None:
    with pytest.raises(InputError, match="no longer what origin has there"):
        branches.fetch(open_repository(clone), "a" * 40, ref="refs/heads/main", environment={})


@pytest.fixture
def project(tmp_path: Path, run: Run) -> Repository:
    write_text(tmp_path / "below/params.yaml", "rank: 8\n")
    write_text(tmp_path / "other", "x\n")
    run("git", "init", "-q", "-b", "main", cwd=tmp_path)
    run("git", "add", "-A", cwd=tmp_path)
    run("git", "commit", "-qm", "first", cwd=tmp_path)
    write_text(tmp_path / "other", "changed, and not committed\n")
    return open_repository(tmp_path / "below")


def test_a_proposal_is_one_file_on_a_new_branch_and_touches_nothing_else(project: Repository, run: Run) -> None:
    head = project.resolve("HEAD")
    proposed = branches.propose(project, "search/a", head, "params.yaml", "rank: 16\n", "Rank 16")
    assert project.resolve("search/a") == proposed
    assert run("git", "diff", "--name-only", head, proposed, cwd=project.root) == "below/params.yaml\n"
    assert project.read(proposed, "params.yaml") == "rank: 16\n"
    assert project.resolve("HEAD") == head
    assert run("git", "status", "--porcelain", cwd=project.root) == " M other\n"
    assert (project.root / "params.yaml").read_text() == "rank: 8\n"


def test_the_same_proposal_again_is_the_same_and_another_is_refused(project: Repository) -> None:
    head = project.resolve("HEAD")
    proposed = branches.propose(project, "a", head, "params.yaml", "rank: 16\n", "Rank 16")
    assert branches.propose(project, "a", head, "params.yaml", "rank: 16\n", "Rank 16, later") == proposed
    with pytest.raises(RefusedError, match="holds something else"):
        branches.propose(project, "a", head, "params.yaml", "rank: 32\n", "Rank 32")
    assert project.resolve("a") == proposed
    with pytest.raises(UsageError, match="not a name for a branch"):
        branches.propose(project, "a..b", head, "params.yaml", "rank: 32\n", "Rank 32")
