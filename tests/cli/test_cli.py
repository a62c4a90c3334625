import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import tunegate
from tunegate import TELEMETRY_OFF

HEAVY = (
    *("accelerate", "bentoml", "dvc", "great_expectations", "matplotlib", "mlflow", "numpy", "openvino", "pandas"),
    *("peft", "pyarrow", "scipy", "sklearn", "tokenizers", "torch", "transformers"),
)


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunegate.cli", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}
    )


def test_help_names_every_noun_and_an_example() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("init", "params", "Example: tunegate init"):
        assert word in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import json, sys
sys.argv = ["tunegate", "--help"]
from tunegate.cli import main
try:
    main()
except SystemExit:
    print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stderr) == []


def test_help_is_quick() -> None:
    run("--help")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 0.6, "0.2 s of processor time on an idle machine"


def test_version_is_the_packages() -> None:
    assert run("--version").stdout == f"tunegate {tunegate.__version__}\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["init"], ["params", "nonsense"]])
def test_a_wrong_command_line_is_exit_code_2_without_a_traceback(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["params"]])
def test_a_command_without_a_verb_shows_its_verbs(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout.startswith("Usage: tunegate")
    assert done.stderr == ""


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_traceback_is_shown_on_demand_wherever_the_option_stands(tmp_path: Path, place: str) -> None:
    words = ["params", "docs", "--check"]
    assert "Traceback" not in run(*words, cwd=tmp_path).stderr
    words = ["--traceback", *words] if place == "before" else [*words, "--traceback"]
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_telemetry_of_every_library_is_off_unless_someone_says_otherwise() -> None:
    code = f"import json, os, tunegate; print(json.dumps({{n: os.environ[n] for n in {list(TELEMETRY_OFF)!r}}}))"
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY_OFF}
    for said in ({}, {"DO_NOT_TRACK": "0"}):
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**clean, **said}
        )
        assert json.loads(done.stdout) == {**TELEMETRY_OFF, **said}
