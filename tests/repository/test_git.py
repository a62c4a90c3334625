from pathlib import Path

import pytest

from tunegate.errors import MachineError
from tunegate.repository.git import output_of, run_git


def test_what_git_prints_is_the_output_and_what_it_says_is_the_error(tmp_path: Path) -> None:
    assert output_of(run_git(tmp_path, "init", "--quiet"), "git init") == ""
    assert output_of(run_git(tmp_path, "hash-object", "--stdin", given=b"x"), "").startswith("c1b0730")
    with pytest.raises(MachineError, match="unknown revision") as caught:
        output_of(run_git(tmp_path, "rev-parse", "nothing"), "git rev-parse", "name another")
    assert (caught.value.place, caught.value.remedy) == ("git rev-parse", "name another")


def test_a_missing_git_and_one_that_hangs_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="not installed"):
        run_git(tmp_path, "status")
    git.chmod(0o755)
    with pytest.raises(MachineError, match=r"no answer in 0\.2 s"):
        run_git(tmp_path, "status", seconds=0.2)


def test_a_hooks_repository_does_not_become_that_of_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hooked", "other"):
        run_git(tmp_path, "init", "--quiet", name)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "hooked/.git"))
    words = ("rev-parse", "--absolute-git-dir")
    assert output_of(run_git(tmp_path / "other", *words), "").strip() == str(tmp_path / "hooked/.git")
    assert output_of(run_git(tmp_path / "other", *words, other_repository=True), "").strip() == str(
        tmp_path / "other/.git"
    )
