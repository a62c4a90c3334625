import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature

from tunegate.files import read_yaml, write_text, write_yaml


def check(folder: Path, code: int = 0) -> list[str]:
    command = [sys.executable, "-m", "tunegate.cli", "check"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def edited(folder: Path, path: str, change: Callable[[Any], object]) -> None:
    values = read_yaml(folder / path)
    change(values)
    write_yaml(folder / path, values)


def replaced(folder: Path, path: str, old: str, new: str) -> None:
    text = (folder / path).read_text()
    assert old in text
    write_text(folder / path, text.replace(old, new, 1))


def test_a_sound_project_has_nothing_to_say_and_says_it_fast_without_heavy_imports(miniature: Miniature) -> None:
    code = (
        "import sys\nfrom tunegate.cli import app\n"
        "try:\n    app(['check'], standalone_mode=False)\nfinally:\n"
        "    print([name for name in ('torch', 'pyarrow', 'numpy', 'mlflow', 'sklearn') if name in sys.modules])"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=miniature.root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert time.monotonic() - started < 10, "a second or two, on a machine that does much else"


@pytest.mark.parametrize(
    ("path", "old", "new", "line"),
    [
        ("params.yaml", "rank: 16", "rnak: 16", "params.yaml: train.rnak: unknown key; did you mean 'rank'?"),
        ("params.yaml", "0.002", "2e-3", "ambiguous value"),
        ("data/sources.yaml", "language: en", "language: no", "data/sources.yaml: sources[0].row.slices.language"),
        ("models/catalog.yaml", "\nmodels:", "\nmodles:", "models/catalog.yaml: modles: unknown key"),
        ("policy/gate.yaml", "margin: 0.05", "margn: 0.05", "unknown key; did you mean 'margin'?"),
        ("policy/gate.yaml", "cluster: group", "cluster: on", "policy/gate.yaml: cluster: ambiguous value"),
    ],
)
def test_a_fault_in_a_file_is_one_line_with_place_and_remedy(
    miniature: Miniature, path: str, old: str, new: str, line: str
) -> None:
    replaced(miniature.root, path, old, new)
    said = check(miniature.root, code=1)
    assert len(said) == 1
    assert said[0].startswith(f"error: {path}")
    assert line in said[0]
    assert " (fix: " in said[0]


def test_faults_of_several_files_are_told_at_once(miniature: Miniature) -> None:
    replaced(miniature.root, "params.yaml", "rank: 16", "rank: 0")
    write_text(miniature.root / "policy/roles.yaml", "owner: [a\n")
    replaced(miniature.root, "policy/gate.yaml", "alpha: 0.05", "alpha: 0.7")
    places = [line.split(": ")[1] for line in check(miniature.root, code=1)]
    assert places == ["params.yaml", "policy/gate.yaml", "policy/roles.yaml:2"]


def test_a_policy_names_only_slices_and_metrics_that_can_be(miniature: Miniature) -> None:
    def judge_other(policy: Any) -> None:
        policy["slices"]["by"] = ["langauge", "desk"]
        policy["metrics"]["exact_match"] = {"role": "info", "direction": "higher"}

    edited(miniature.root, "policy/gate.yaml", judge_other)
    slices, metric = check(miniature.root, code=1)
    assert "slices.by: no source gives its rows the slice 'langauge' (known: desk, language)" in slices
    assert "policy/gate.yaml: metrics.exact_match: is for rows without a label" in metric

    def talk(sources: Any) -> None:
        for source in sources["sources"]:
            source["row"] = {"messages": "{messages}", "slices": {"language": "en", "langauge": "en", "desk": "a"}}

    edited(miniature.root, "data/sources.yaml", talk)
    assert [line.split(": ")[2] for line in check(miniature.root, code=1)] == ["metrics.accuracy", "metrics.macro_f1"]


def test_a_stage_that_reads_a_parameter_which_is_not_there_is_named(miniature: Miniature) -> None:
    edited(miniature.root, "dvc.yaml", lambda content: content["stages"]["train"]["params"].append("train.epoch"))
    (said,) = check(miniature.root, code=1)
    assert said.startswith("error: dvc.yaml: stages.train.params: params.yaml has no train.epoch")


@pytest.mark.parametrize(
    "text", ["stages:\n  train: {cmd: x, outss: [y]}\n", "- a list\n", "stages: {a: {outs: [b]}}\n"]
)
def test_a_dvc_yaml_that_dvc_refuses_is_one_line(miniature: Miniature, text: str) -> None:
    write_text(miniature.root / "dvc.yaml", text)
    (said,) = check(miniature.root, code=1)
    assert said.startswith("error: dvc.yaml: ")


def test_a_conflict_that_is_left_is_named_and_nothing_else(miniature: Miniature) -> None:
    lock = (miniature.root / "dvc.lock").read_text()
    write_text(miniature.root / "dvc.lock", lock + "<<<<<<< HEAD\n=======\n>>>>>>> other\n")
    (said,) = check(miniature.root, code=1)
    assert said.startswith(f"error: dvc.lock:{lock.count(chr(10)) + 1}: a merge conflict is left")


def test_half_a_lock_is_an_error(miniature: Miniature) -> None:
    edited(miniature.root, "dvc.lock", lambda content: content["stages"]["train"]["outs"][0].pop("md5"))
    (said,) = check(miniature.root, code=1)
    assert said.startswith("error: dvc.lock: train: models/adapter: no md5")


def test_a_stale_lock_is_a_warning_with_the_command_that_tells_why(miniature: Miniature) -> None:
    replaced(miniature.root, "params.yaml", "learning_rate: 0.002", "learning_rate: 0.001")
    lock = read_yaml(miniature.root / "dvc.lock")
    lock["stages"]["gone"] = lock["stages"]["base"]
    write_yaml(miniature.root / "dvc.lock", lock)
    assert check(miniature.root) == [
        "warning: dvc.lock: stale: train, package, evaluate, score (fix: run `dvc repro`; `tunegate plan` says why)",
        "warning: dvc.lock: gone is not a stage of dvc.yaml (fix: delete its entry)",
    ]


def test_a_project_that_never_ran_is_no_reason_for_a_warning(miniature: Miniature) -> None:
    (miniature.root / "dvc.lock").unlink()
    assert check(miniature.root) == []


def test_a_file_that_both_git_and_dvc_keep_is_refused(miniature: Miniature) -> None:
    miniature.git("add", "-f", "models/package/model.gguf", "models/trajectory.csv")
    assert check(miniature.root, code=1) == [
        f"error: {path}: git tracks what DVC owns (fix: git rm -r --cached {path})"
        for path in ("models/package/model.gguf", "models/trajectory.csv")
    ]


def test_outside_of_a_repository_there_is_nothing_to_check(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tunegate.cli", "check"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, "not a git repository" in done.stderr) == (1, True)
