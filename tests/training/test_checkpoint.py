import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_runs import Killed, equal, settings, train, whole

from tunegate.errors import RefusedError, exit_code_of
from tunegate.files import read_json, sha256_of, write_text
from tunegate.training import checkpoint
from tunegate.training.adapter import save_adapter

OF = settings(ema=0.9, select="best", validate_every=3)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def process(tiny_model: Path, *, kill_in: int | None = None, limit: int = 0) -> tuple[int, str]:
    """Exit code and stderr of a training in a process of its own, a fork, which needs no seconds of imports.

    With `kill_in` it ends in its forward pass of that number by SIGKILL; `limit` is the largest file it may write.
    """
    if (child := os.fork()) == 0:
        sys.stderr = Path("stderr").open("w", encoding="utf-8")  # noqa: SIM115 (the process ends with it)
        code = exit_code_of(lambda: _work(tiny_model, kill_in, limit))
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), Path("stderr").read_text(encoding="utf-8")


def _work(tiny_model: Path, kill_in: int | None, limit: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        model, _ = train(tiny_model, OF, kill_in=kill_in)
    except Killed:
        os.kill(os.getpid(), signal.SIGKILL)
    Path("out").mkdir(exist_ok=True)
    save_adapter(model, Path("out"), "models/base")


def test_a_training_killed_again_and_again_ends_with_the_same_hash(tiny_model: Path) -> None:
    model, progress = whole(tiny_model, OF)
    Path("whole").mkdir()
    save_adapter(model, Path("whole"), "models/base")
    assert len(progress.records) == 8
    assert [process(tiny_model, kill_in=step)[0] for step in (0, 3, 0, 1, 2)] == [-signal.SIGKILL] * 5
    assert checkpoint.newest() == checkpoint.FOLDER / "00000006"
    assert process(tiny_model)[0] == 0
    for file in Path("whole").iterdir():
        assert sha256_of(Path("out") / file.name) == sha256_of(file)


def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_so(tiny_model: Path) -> None:
    assert process(tiny_model, kill_in=4)[0] == -signal.SIGKILL
    kept = checkpoint.FOLDER / "00000004"
    before = {file.name: sha256_of(file) for file in kept.iterdir()}
    code, output = process(tiny_model, limit=20_000)
    assert code == 1
    assert "the checkpoint of step 5 cannot be written" in output
    assert "File too large" in output
    assert "it resumes after step 4" in output
    assert "Traceback" not in output
    assert list(checkpoint.FOLDER.iterdir()) == [kept]
    assert {file.name: sha256_of(file) for file in kept.iterdir()} == before
    assert process(tiny_model)[0] == 0


def killed(tiny_model: Path, of: Any, step: int) -> None:
    with pytest.raises(Killed):
        train(tiny_model, of, kill_in=step)


def steps() -> list[int]:
    return sorted(int(path.name) for path in checkpoint.FOLDER.iterdir())


def test_the_newest_checkpoints_are_kept(tiny_model: Path) -> None:
    killed(tiny_model, settings(keep_checkpoints=3), 6)
    assert steps() == [4, 5, 6]
    checkpoint.discard()
    killed(tiny_model, settings(checkpoint_every=2, keep_checkpoints=2), 7)
    assert steps() == [4, 6]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change the tensors' last number, or a decimal of the first recorded loss: both can be read as before."""
    text = path.read_bytes()
    at = text.index(b".", text.index(b'"loss"')) + 1 if path.name == checkpoint.RUN else len(text) - 1
    path.write_bytes(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", [checkpoint.TENSORS, checkpoint.RUN])
def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(
    tiny_model: Path, name: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    of = settings(keep_checkpoints=2)
    expected, progress = whole(tiny_model, of)
    killed(tiny_model, of, 6)
    damage(checkpoint.FOLDER / "00000006" / name)
    resumed, again = train(tiny_model, of)
    assert "a broken checkpoint is passed over" in capsys.readouterr().err
    assert again.records == progress.records
    assert equal(expected, resumed)


@pytest.mark.parametrize("name", [checkpoint.TENSORS, checkpoint.RUN])
def test_a_half_written_checkpoint_that_is_the_only_one_is_refused(tiny_model: Path, name: str) -> None:
    killed(tiny_model, settings(), 6)
    cut(checkpoint.FOLDER / "00000006" / name)
    with pytest.raises(RefusedError, match="no checkpoint of a killed run can be read") as caught:
        train(tiny_model, settings())
    assert f"delete {checkpoint.FOLDER}" in caught.value.remedy


def test_a_checkpoint_is_of_json_and_safetensors_only(tiny_model: Path) -> None:
    killed(tiny_model, settings(optimizer="adamw_8bit"), 3)
    folder = checkpoint.newest()
    assert folder is not None
    assert sorted(file.name for file in folder.iterdir()) == [checkpoint.RUN, checkpoint.TENSORS]
    assert read_json(folder / checkpoint.RUN)["step"] == 3


def test_other_folders_are_not_taken_for_checkpoints(tiny_model: Path) -> None:
    write_text(checkpoint.FOLDER / ".00000009.abc.part" / checkpoint.RUN, "{}")
    assert checkpoint.newest() is None
    _, progress = train(tiny_model, settings())
    assert not progress.resumed


def test_a_checkpoint_saved_after_a_broken_newer_one_is_not_dropped_for_it(tiny_model: Path) -> None:
    killed(tiny_model, settings(keep_checkpoints=2), 6)
    cut(checkpoint.FOLDER / "00000006" / checkpoint.TENSORS)
    (checkpoint.FOLDER / "00000006").rename(checkpoint.FOLDER / "00000008")
    killed(tiny_model, settings(), 1)
    assert steps() == [6]
    _, progress = train(tiny_model, settings())
    assert progress.resumed


@pytest.mark.parametrize("text", ["{}", "[]", '{"step": 6}'])
def test_a_checkpoint_that_says_too_little_is_broken(tiny_model: Path, text: str) -> None:
    killed(tiny_model, settings(), 6)
    write_text(checkpoint.FOLDER / "00000006" / checkpoint.RUN, text)
    with pytest.raises(RefusedError, match=r"run\.json lacks fingerprint"):
        train(tiny_model, settings())


def test_what_a_kill_left_half_saved_or_half_removed_goes_when_the_run_goes_on(tiny_model: Path) -> None:
    killed(tiny_model, settings(), 6)
    for name in (".00000007.abc.part", ".00000005.old"):
        write_text(checkpoint.FOLDER / name / checkpoint.TENSORS, "half")
    write_text(checkpoint.FOLDER.parent / ".checkpoint.old" / "00000001" / checkpoint.RUN, "{}")
    killed(tiny_model, settings(), 0)
    assert [path.name for path in checkpoint.FOLDER.iterdir()] == ["00000006"]
    assert [path.name for path in checkpoint.FOLDER.parent.iterdir()] == ["checkpoint"]
