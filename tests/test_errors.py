import errno
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate import errors
from tunegate.errors import InputError, TunegateError, exit_code_of


def raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@pytest.fixture(autouse=True)
def _signals_as_before() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a process whose `main` has the given body."""

    def run(body: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "stage.py"
        head = "import os, signal, sys, time\nfrom pathlib import Path\nfrom tunegate.errors import *\n"
        main = f"def main() -> None:\n{textwrap.indent(textwrap.dedent(body), '    ')}\nsys.exit(exit_code_of(main))\n"
        file.write_text(head + main)
        command = [sys.executable, str(file)]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    return run


def test_an_error_prints_place_problem_and_remedy() -> None:
    error = TunegateError("must be less than 1 (got 1.4)", place="params.yaml: prepare.test_share", remedy="read docs")
    assert str(error) == "error: params.yaml: prepare.test_share: must be less than 1 (got 1.4)\nfix: read docs"
    assert str(TunegateError("no space left")) == "error: no space left"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("TunegateError", 1),
        ("UsageError", 2),
        ("InputError", 1),
        ("MachineError", 1),
        ("RefusedError", 3),
        ("InconclusiveError", 4),
    ],
)
def test_every_error_has_its_documented_exit_code(name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(getattr(errors, name)("no"))) == code
    assert capsys.readouterr().err == "error: no\n"
    assert re.search(rf"{name} +exit {code} ", str(errors.__doc__))


def test_the_tree_has_six_classes_at_most() -> None:
    assert len(TunegateError.__subclasses__()) + 1 <= 6


def test_success_is_0_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_a_full_disk_says_how_to_free_space(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "models/adapter")
    assert exit_code_of(raising(full)) == 1
    output = capsys.readouterr().err
    assert output.startswith("error: models/adapter: no space left on the disk\nfix: ")


def test_a_full_disk_is_named_whichever_library_met_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(RuntimeError('Could not write file "x.wal": No space left on device'))) == 1
    assert capsys.readouterr().err.startswith("error: no space left on the disk\nfix: free some space")


def test_a_machine_without_enough_memory_is_told_what_to_change(capsys: pytest.CaptureFixture[str]) -> None:
    out_of_memory = type("OutOfMemoryException", (Exception,), {})
    for error in (MemoryError(), out_of_memory("could not allocate block")):
        assert exit_code_of(raising(error)) == 1
        assert capsys.readouterr().err.startswith("error: not enough memory\nfix: raise compute.memory")


def test_an_unforeseen_error_names_itself_and_asks_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(KeyError("x"))) == 1
    output = capsys.readouterr().err
    assert output == "error: unexpected KeyError: 'x'\nfix: run again with --traceback and report it\n"


@pytest.mark.parametrize("with_traceback", [False, True])
@pytest.mark.parametrize("error", [InputError("no row 'a\x1b]0;pwned\x07'"), KeyError("\x9b2J"), OSError("\u202e\r")])
def test_no_error_writes_control_characters_to_the_terminal(
    error: Exception, with_traceback: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code_of(raising(error), show_traceback=with_traceback)
    output = capsys.readouterr().err
    assert output.replace("\n", "").isprintable()
    assert {"InputError": "a\\u001b]0;pwned\\u0007", "KeyError": "x9b2J", "OSError": "\\u202e\\r"}[
        type(error).__name__
    ] in output


def test_a_traceback_appears_only_when_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = TunegateError("no")
    exit_code_of(raising(error))
    assert "Traceback" not in capsys.readouterr().err
    exit_code_of(raising(error), show_traceback=True)
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("TUNEGATE_TRACEBACK", "1")
    exit_code_of(raising(error))
    assert "Traceback" in capsys.readouterr().err


def test_a_stage_leaves_with_the_code_of_its_error(stage: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = stage("raise RefusedError('the answer is no', place='params.yaml', remedy='ask again')")
    assert (done.returncode, done.stderr) == (3, "error: params.yaml: the answer is no\nfix: ask again\n")


def test_a_signal_that_a_library_swallows_comes_again(stage: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = stage(
        """
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except BaseException:
            pass
        time.sleep(60)
        """
    )
    assert done.returncode == 143
    assert "stopped by SIGTERM" in done.stderr


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_cleans_up_and_leaves_with_the_shells_code(
    stage: Callable[..., subprocess.CompletedProcess[str]], name: str, code: int, tmp_path: Path
) -> None:
    done = stage(
        f"""
        from tunegate.files import atomic_file
        with atomic_file(Path("result.txt")) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.{name})
            time.sleep(60)
        """
    )
    assert done.returncode == code
    assert "nothing half-written was kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stage.py"]
