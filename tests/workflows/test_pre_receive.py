"""The hook that protects a bare repository's default branch where there is no forge."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).resolve().parents[2] / "docs/examples/pre-receive"


def git(folder: Path, *arguments: str, who: str = "ada", code: int = 0) -> str:
    person = {f"GIT_{role}_{what}": who for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | person | {"REMOTE_USER": who},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout.strip() + done.stderr.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a protected repository, with one commit on main."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    shutil.copy(HOOK, tmp_path / "origin.git/hooks/pre-receive")
    (tmp_path / "origin.git/hooks/pre-receive").chmod(0o755)
    git(tmp_path / "origin.git", "config", "tunegate.verdicts", "ci")
    git(tmp_path, "clone", "-q", "origin.git", "clone")
    git(tmp_path / "clone", "checkout", "-q", "-b", "main")
    commit(tmp_path / "clone", "first")
    git(tmp_path / "clone", "push", "-q", "origin", "main")
    return tmp_path / "clone"


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", name)
    return git(folder, "rev-parse", "HEAD")


def judge(folder: Path, sha: str, state: str, description: str = "", base: str = "origin/main") -> None:
    against = git(folder, "rev-parse", base)
    note = {"tunegate/gate": {"state": state, "base": against, "description": description, "url": ""}}
    git(folder, "notes", "--ref=tunegate", "add", "-f", "-m", json.dumps(note, indent=2, sort_keys=True), sha)
    git(folder, "push", "-q", "origin", "refs/notes/tunegate", who="ci")


def push(folder: Path, *arguments: str, code: int = 0) -> str:
    return git(folder, "push", "-q", "origin", *arguments, code=code)


@pytest.mark.parametrize("state", ["failure", "pending", "error"])
def test_only_a_passing_verdict_opens_the_branch(clone: Path, state: str) -> None:
    sha = commit(clone, "second")
    assert "has no passing verdict" in push(clone, "main", code=1)
    judge(clone, sha, state, 'says "state": "success" and\n    "state": "success"')
    assert "has no passing verdict" in push(clone, "main", code=1)
    judge(clone, sha, "success")
    push(clone, "main")


def test_a_merge_of_a_judged_commit_passes_when_it_changes_nothing(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "tune")
    judge(clone, commit(clone, "second"), "success")
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "--no-ff", "-m", "merge", "tune")
    good = git(clone, "rev-parse", "HEAD")
    (clone / "smuggled").write_text("x")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "--amend", "--no-edit")
    assert "has no passing verdict" in push(clone, "main", code=1)
    push(clone, f"{good}:main")


def test_a_verdict_against_an_older_base_does_not_count(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "tune")
    judge(clone, commit(clone, "second"), "success")
    git(clone, "checkout", "-q", "main")
    judge(clone, commit(clone, "other"), "success")
    push(clone, "main")
    git(clone, "merge", "-q", "--no-ff", "-m", "merge", "tune")
    assert "has no passing verdict" in push(clone, "main", code=1)


def test_a_branch_on_top_of_another_is_judged_again_when_that_one_is_merged(clone: Path) -> None:
    first = commit(clone, "first of two")
    second = commit(clone, "second of two")
    judge(clone, first, "success")
    judge(clone, second, "success")
    push(clone, f"{first}:main")
    assert f"no passing verdict of tunegate against {first[:12]}" in push(clone, f"{second}:main", code=1)
    judge(clone, second, "success", f'"base": "{first}"\n    "base": "{first}"', base="HEAD~2")
    assert "no passing verdict" in push(clone, f"{second}:main", code=1)
    judge(clone, second, "success", base=first)
    push(clone, f"{second}:main")


def test_the_branch_is_neither_rewritten_nor_deleted(clone: Path) -> None:
    git(clone, "commit", "-q", "--amend", "-m", "rewritten")
    judge(clone, git(clone, "rev-parse", "HEAD"), "success")
    assert "main is never rewritten" in push(clone, "--force", "main", code=1)
    git(clone.parent / "origin.git", "config", "receive.denyDeleteCurrent", "ignore")
    assert "main cannot be deleted" in push(clone, ":main", code=1)


def test_other_branches_are_free_and_verdicts_are_cis(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "tune")
    commit(clone, "second")
    push(clone, "tune")
    git(clone, "notes", "--ref=tunegate", "add", "-m", "{}", "HEAD")
    assert "ada may not write verdicts" in push(clone, "refs/notes/tunegate", code=1)
    git(clone.parent / "origin.git", "config", "--unset", "tunegate.verdicts")
    assert "ada may not write verdicts" in push(clone, "refs/notes/tunegate", code=1), (
        "where CI has no account, nobody may"
    )
