from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.files import read_text, write_text
from tunegate.repository.lock import parse_lock


@pytest.fixture
def sides(miniature: Miniature, tmp_path: Path) -> dict[str, Path]:
    """dvc.lock at the fork, of a model with another rate, and of one with another rank."""
    files = {"base": tmp_path / "base.lock", "ours": tmp_path / "ours.lock", "theirs": tmp_path / "theirs.lock"}
    write_text(files["base"], read_text(miniature.root / "dvc.lock"))
    for side, change in (("ours", {"train__learning_rate": 0.5}), ("theirs", {"package__tolerance": 0.5})):
        miniature.change(**change)
        miniature.run("dvc", "repro", "-q", cwd=miniature.root)
        write_text(files[side], read_text(miniature.root / "dvc.lock"))
        miniature.git("checkout", "-q", "--", ".")
    return files


def merge(miniature: Miniature, sides: dict[str, Path], code: int = 0) -> str:
    return miniature.run("tunegate", "lock", "merge", *map(str, sides.values()), cwd=miniature.root, code=code)


def test_lock_merge_writes_what_both_sides_ran(miniature: Miniature, sides: dict[str, Path]) -> None:
    ours, theirs = (parse_lock(read_text(sides[side]), place="") for side in ("ours", "theirs"))
    output = merge(miniature, sides)
    entries = parse_lock(read_text(sides["ours"]), place="")
    assert entries["train"] == ours["train"]
    assert entries["train"] != theirs["train"]
    # Both ran `package` anew: one on another adapter, the other with another tolerance.
    assert "package" not in entries
    assert "dvc.lock: package: dropped (both sides changed it)" in output
    assert "run `dvc repro` and commit dvc.lock" in output


def test_lock_merge_restores_what_was_run_before(miniature: Miniature, sides: dict[str, Path]) -> None:
    miniature.change(train__learning_rate=0.5, package__tolerance=0.5)
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    both = parse_lock(read_text(miniature.root / "dvc.lock"), place="")
    output = merge(miniature, sides)
    assert parse_lock(read_text(sides["ours"]), place="") == both
    assert "package: restored from the run cache" in output


def test_lock_merge_leaves_the_conflict_where_a_side_is_no_lock(miniature: Miniature, sides: dict[str, Path]) -> None:
    ours = read_text(sides["ours"])
    write_text(sides["theirs"], "<<<<<<< HEAD\n")
    output = merge(miniature, sides, code=1)
    assert "dvc.lock (theirs)" in output
    assert read_text(sides["ours"]) == ours


def test_lock_merge_takes_an_empty_ancestor_for_none(miniature: Miniature, sides: dict[str, Path]) -> None:
    write_text(sides["base"], "")
    write_text(sides["theirs"], read_text(sides["ours"]))
    merge(miniature, sides)
    assert parse_lock(read_text(sides["ours"]), place="") == parse_lock(read_text(sides["theirs"]), place="")
