import os
import subprocess
import sys

import pytest


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunegate.stages", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_a_stage_the_stages_are_named() -> None:
    done = call("trian", "params.yaml")
    assert done.returncode == 2
    assert "base, evaluate, ingest, package, prepare, score, tokenize, train, validate" in done.stderr


def test_a_wrong_number_of_paths_is_a_usage_error_that_names_the_wanted_ones() -> None:
    done = call("prepare", "params.yaml")
    assert done.returncode == 2
    assert "expected: PARAMS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_appears_on_demand() -> None:
    assert "Traceback" in call("trian", "--traceback").stderr


def test_a_size_of_memory_that_is_none_is_refused() -> None:
    done = call("--memory", "lots", "prepare")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --memory: ")
    assert "'lots'" in done.stderr
    assert call("--memory").returncode == 2


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
    ids=["unset", "count", "policy"],
)
def test_threads_sleep_early_unless_the_user_has_said_how_they_wait(own: dict[str, str], expected: str) -> None:
    # Before torch is loaded, which is when it is read.
    code = "import os, sys, tunegate.stages.__main__; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", code], env=unset | own, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"]
