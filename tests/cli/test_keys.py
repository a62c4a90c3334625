from pathlib import Path
from typing import Any

import pytest

from tunegate.cli.keys import keys, outdated_keys
from tunegate.errors import InputError, RefusedError
from tunegate.files import read_text, write_text, write_yaml
from tunegate.repository.stage_keys import read_key

KEY = "requirements/stages/ingest.txt"
ROOT = Path(__file__).resolve().parents[2]
COMMAND = f"python -m tunegate.stages --key {KEY} ingest params.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one stage of tunegate and one of its own, and a short lock."""
    monkeypatch.chdir(tmp_path)
    stages = {"ingest": {"cmd": COMMAND, "deps": [KEY]}, "own": {"cmd": "echo 1", "deps": []}}
    write_yaml(tmp_path / "dvc.yaml", {"stages": stages})
    write_yaml(tmp_path / "data/sources.yaml", {"sources": [{"name": "x", "package": "zaragoza_construction_faq"}]})
    lock = (ROOT / "requirements/pipeline.txt").read_text(encoding="utf-8")
    lock = lock.replace("\nduckdb==2.0.0 ", "\nduckdb==2.0.0+local ")
    write_text(
        tmp_path / "requirements/pipeline.txt",
        lock.replace("\nzaragoza-construction-faq==", "\nzaragoza-construction-faq[x]=="),
    )
    return tmp_path


def test_the_files_are_written_once_and_then_up_to_date(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys()
    assert f"{KEY}: rewritten: no such file" in capsys.readouterr().out
    versions = {"duckdb": "2.0.0", "zaragoza-construction-faq": "1.2.1"}
    assert versions.items() <= read_key(Path(KEY)).packages.items()
    keys(check=True)
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["<<<<<<< ours\n", "duckdb==2.0.0\nduckdb==2.0.0\n", "# nothing\n", "\x00"])
def test_a_file_that_is_not_right_is_refused_and_written_again(project: Path, text: str) -> None:
    write_text(Path(KEY), text)
    with pytest.raises(RefusedError) as caught:
        keys(check=True)
    assert KEY in caught.value.problem
    assert read_text(Path(KEY)) == text
    keys()
    assert not list(outdated_keys())


def test_packages_of_reward_functions_are_in_the_key_of_train(project: Path) -> None:
    stage = {"cmd": COMMAND.replace("ingest", "train"), "deps": [KEY.replace("ingest", "train")]}
    write_yaml(project / "dvc.yaml", {"stages": {"train": stage}})
    keys()
    before = read_key(Path(KEY.replace("ingest", "train"))).packages
    write_text(project / "rewards/own.py", "def f(a, r):\n    from ftfy import fix_text\n")
    keys()
    after = read_key(Path(KEY.replace("ingest", "train"))).packages
    assert set(after) - set(before) == {"ftfy"}


@pytest.mark.parametrize(
    "stage",
    [
        {"cmd": "python -m tunegate.stages ingest params.yaml", "deps": [KEY]},
        {"cmd": COMMAND, "deps": []},
        {"cmd": COMMAND.replace(KEY, "params.yaml"), "deps": ["params.yaml"]},
        {"cmd": ["echo 1", COMMAND.replace(KEY, "${key}")], "deps": [KEY]},
        {"cmd": COMMAND.replace(" ingest", " ingestion"), "deps": [KEY]},
    ],
)
def test_a_stage_without_a_file_that_dvc_watches_is_refused(project: Path, stage: dict[str, Any]) -> None:
    write_yaml(project / "dvc.yaml", {"stages": {"first": stage}})
    with pytest.raises(InputError) as caught:
        list(outdated_keys())
    assert caught.value.place == "dvc.yaml: stages.first.cmd"
    assert not (project / KEY).exists()


@pytest.mark.parametrize("line", ["", "duckdb>=2.0.0", "duckdb @ file:///x.whl", "<<<<<<< ours"])
def test_a_lock_that_does_not_pin_what_a_stage_imports_is_refused(project: Path, line: str) -> None:
    lock = project / "requirements/pipeline.txt"
    write_text(lock, read_text(lock).replace("\nduckdb==2.0.0", f"\n{line}"))
    with pytest.raises(InputError) as caught:
        keys()
    assert caught.value.place == "requirements/pipeline.txt"
