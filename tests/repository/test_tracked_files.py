from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.errors import InputError, MachineError
from tunegate.repository import remote
from tunegate.repository.tracked_files import add, bring_added, check_can_add

Run = Callable[..., str]


@pytest.fixture
def project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with a remote, in which nothing is tracked; it is the current folder."""
    root = tmp_path / "project"
    root.mkdir()
    run("git", "init", "-q", "-b", "main", cwd=root)
    run("dvc", "init", "-q", cwd=root)
    run("dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"), cwd=root)
    monkeypatch.chdir(root)
    (root / "raw").mkdir()
    (root / "raw/a.bin").write_text("first")
    return root


def test_a_file_is_tracked_and_git_is_told_what_to_keep(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(Path(), Path("raw/a.bin")) == [Path("raw/a.bin.dvc"), Path("raw/.gitignore")]
    assert (project / "raw/.gitignore").read_text() == "/a.bin\n"
    assert capsys.readouterr().out == ""


def test_a_file_that_did_not_change_is_not_touched(project: Path) -> None:
    add(Path(), Path("raw/a.bin"))
    before = [(path.name, path.stat().st_mtime_ns) for path in sorted((project / "raw").iterdir())]
    add(Path(), Path("raw/a.bin"))
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted((project / "raw").iterdir())] == before


def test_a_file_that_git_keeps_is_refused(project: Path, run: Run) -> None:
    run("git", "add", "raw/a.bin", cwd=project)
    with pytest.raises(InputError, match=r"raw/a\.bin: git keeps this file itself"):
        check_can_add(Path(), Path("raw/a.bin"))
    with pytest.raises(MachineError, match="`dvc add` fails"):
        add(Path(), Path("raw/a.bin"))


def test_what_is_missing_is_brought_from_the_cache_or_the_remote(
    project: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(Path(), Path("raw/a.bin"))
    run("dvc", "push", "-q", cwd=project)
    assert bring_added(project) == []
    (project / "raw/a.bin").unlink()
    assert bring_added(project) == ["raw/a.bin"]
    run("rm", "-r", "raw/a.bin", ".dvc/cache", cwd=project)
    bring_added(project)
    assert (project / "raw/a.bin").read_text() == "first"
    run("rm", "-r", "raw/a.bin", ".dvc/cache", str(tmp_path / "store"), cwd=project)
    monkeypatch.setattr(remote, "sleep", lambda _: None)
    with pytest.raises(MachineError, match=r"raw/a\.bin\.dvc"):
        bring_added(project)
