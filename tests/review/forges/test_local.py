import subprocess
from pathlib import Path

import pytest

from tunegate.errors import InputError, MachineError
from tunegate.files import parse_json
from tunegate.review.forges.interface import CONTEXT, MARKER
from tunegate.review.forges.local import APPROVAL_NOTES, STATUS_NOTES, Local


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    return tmp_path / "origin.git"


def clone(origin: Path, name: str) -> Path:
    folder = origin.parent / name
    git(origin.parent, "clone", "-q", str(origin), name)
    git(folder, "config", "user.name", name)
    git(folder, "config", "user.email", f"{name}@firm.example")
    return folder


@pytest.fixture
def branch(origin: Path) -> Path:
    """ada's clone, on a branch with one commit more than main."""
    folder = clone(origin, "ada")
    git(folder, "checkout", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    git(folder, "push", "-q", "origin", "main")
    git(folder, "checkout", "-q", "-b", "faster")
    git(folder, "commit", "-q", "--allow-empty", "-m", "second")
    git(folder, "push", "-q", "origin", "faster")
    return folder


def test_a_branch_is_a_change_against_the_default_branch(branch: Path) -> None:
    change = Local(branch).change()
    assert (change.head, change.base) == (git(branch, "rev-parse", "faster"), git(branch, "rev-parse", "main"))
    assert (change.number, change.head_ref, change.base_ref) == (None, "faster", "main")
    assert (change.author, change.is_fork) == ("ada@firm.example", False)


def test_a_detached_head_and_a_named_branch_are_changes_too(branch: Path) -> None:
    git(branch, "checkout", "-q", "--detach", "faster")
    assert Local(branch).change().head_ref == ""
    git(branch, "checkout", "-q", "main")
    change = Local(branch, head="origin/faster").change()
    assert (change.head_ref, change.head) == ("faster", git(branch, "rev-parse", "faster"))


def test_a_comment_is_one_file_written_again(branch: Path) -> None:
    forge = Local(branch)
    first = forge.comment(forge.change(), MARKER, "one")
    assert forge.comment(forge.change(), MARKER, "two") == first
    assert (branch / first).read_text() == f"{MARKER}\ntwo"


def test_a_status_travels_to_origin_as_a_note(branch: Path, origin: Path) -> None:
    change = Local(branch).change()
    Local(branch).status(change, "failure", "worse", "")
    Local(branch).status(change, "success", "better", "")
    note = parse_json(git(origin, "notes", "--ref", STATUS_NOTES, "show", change.head), place="note")
    base = git(branch, "rev-parse", "main")
    assert note == {CONTEXT: {"state": "success", "base": base, "description": "better", "url": ""}}


def test_a_note_that_was_overtaken_on_its_way_is_added_to_the_other(branch: Path, origin: Path) -> None:
    other = clone(origin, "grace")
    first, second = git(branch, "rev-parse", "main"), git(branch, "rev-parse", "faster")
    hook = branch / ".git" / "hooks" / "pre-push"
    note = f"cd {other} && git notes --ref {STATUS_NOTES} add -m '{{}}' {second} && git push -q origin {STATUS_NOTES}"
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\nrm {hook}\n{note}\n")
    hook.chmod(0o755)
    Local(branch, head="main").status(Local(branch, head="main").change(), "success", "ours", "")
    assert not hook.exists()
    assert "ours" in git(origin, "notes", "--ref", STATUS_NOTES, "show", first)
    assert git(origin, "notes", "--ref", STATUS_NOTES, "show", second) == "{}"


def test_an_approval_is_anothers_and_of_this_commit_alone(branch: Path, origin: Path) -> None:
    head = git(branch, "rev-parse", "faster")
    assert Local(branch).approve(head) == "ada@firm.example"
    assert Local(clone(origin, "grace")).approve(head) == "grace@firm.example"
    assert Local(branch).approvals(Local(branch).change()) == ["grace@firm.example"]
    assert "ada" in git(origin, "notes", "--ref", APPROVAL_NOTES, "show", head), "noted, and not counted"
    git(branch, "commit", "-q", "--allow-empty", "-m", "third")
    assert Local(branch).approvals(Local(branch).change()) == []


def test_a_lock_that_ci_committed_has_no_author_who_could_approve_for_another(branch: Path) -> None:
    who = ["-c", "user.name=tunegate", "-c", "user.email=tunegate@localhost"]
    git(branch, *who, "commit", "-q", "--allow-empty", "-m", "lock")
    forge = Local(branch)
    forge.approve(git(branch, "rev-parse", "HEAD"))
    assert forge.change().author == "ada@firm.example"
    assert forge.approvals(forge.change()) == []


def test_without_an_origin_notes_stay_here(branch: Path) -> None:
    git(branch, "remote", "remove", "origin")
    forge = Local(branch, base="main")
    forge.status(forge.change(), "pending", "wait", "")
    assert "wait" in git(branch, "notes", "--ref", STATUS_NOTES, "show", "HEAD")


def test_an_origin_that_refuses_notes_is_an_error(branch: Path, origin: Path) -> None:
    hook = origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'only CI may' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(MachineError, match="only CI may"):
        Local(branch).status(Local(branch).change(), "success", "mine", "")


def test_a_note_that_is_not_json_is_an_error_with_a_remedy(branch: Path) -> None:
    git(branch, "notes", "--ref", APPROVAL_NOTES, "add", "-m", "yes please", "HEAD")
    git(branch, "push", "-q", "origin", APPROVAL_NOTES)
    with pytest.raises(InputError, match="not valid JSON"):
        Local(branch).approvals(Local(branch).change())
