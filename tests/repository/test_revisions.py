from pathlib import Path

import pytest
from conftest import run

from tunegate.errors import MachineError
from tunegate.repository.revisions import Repository, open_repository


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository whose `a.txt` was written, changed, deleted and written again; the project lies in `model/`."""
    folder = tmp_path / "top/model"
    folder.mkdir(parents=True)
    run("git", "init", "-q", "-b", "main", cwd=folder.parent)
    for text in ("one\n", "two words\n", None, "blob 3\n"):
        (folder / "a.txt").unlink() if text is None else (folder / "a.txt").write_text(text)
        run("git", "add", "-A", cwd=folder)
        run("git", "commit", "-qm", "A change", "--allow-empty", cwd=folder)
    return folder


def lose(repository: Repository, name: str) -> None:
    """Take an object out of the repository."""
    oid = repository.run("rev-parse", name).strip()
    file = repository.root.parent / ".git/objects" / oid[:2] / oid[2:]
    file.chmod(0o600)
    file.unlink()


def test_a_file_is_read_at_every_commit_and_none_where_the_commit_has_none(history: Path) -> None:
    repository = open_repository(history)
    assert [repository.read(f"HEAD~{age}", "a.txt") for age in range(4)] == ["blob 3\n", None, "two words\n", "one\n"]
    assert repository.read("HEAD", "b/c.txt") is None
    assert repository.read("HEAD", "") is None
    assert list(repository.versions(["HEAD"], "a.txt").values()) == [b"blob 3\n", b"two words\n", b"one\n"]
    assert repository.versions(["HEAD"], "b.txt") == {}


@pytest.mark.parametrize("lost", ["HEAD~2:model/a.txt", "HEAD~2:model", "HEAD~2^{tree}", "HEAD~2"])
def test_an_object_that_git_lost_is_not_a_file_that_never_was(history: Path, lost: str) -> None:
    repository = open_repository(history)
    commit = repository.resolve("HEAD~2")
    lose(repository, lost)
    with pytest.raises(MachineError, match=r"fix: fetch the commit with its files, .*git fsck"):
        repository.read(commit, "a.txt")
    with pytest.raises(MachineError):
        repository.versions(["HEAD"], "a.txt")


@pytest.mark.parametrize("answer", ["", "printf '%040d blob 99\\nshort' 0", "exit 3"])
def test_a_git_that_breaks_off_is_an_error(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    honest = run("sh", "-c", "command -v git", cwd=history).strip()
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *--batch*) cat >/dev/null; {answer or ":"};; *) exec {honest} "$@";; esac\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")
    with pytest.raises(MachineError):
        open_repository(history).versions(["HEAD"], "a.txt")


def test_a_folder_that_is_no_repository_any_more_is_an_error(history: Path) -> None:
    repository = open_repository(history)
    (history.parent / ".git/HEAD").unlink()
    with pytest.raises(MachineError, match="not a git repository"):
        repository.read("HEAD", "a.txt")
