import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shares", "50,100"), "--shares: at least 3 shares"),
        (("--shares", "a,b,c"), "--shares: not numbers (got 'a,b,c')"),
        (("--metric", "f1"), "--metric: accuracy or nll (got 'f1')"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused_before_anything_runs(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    command = [sys.executable, "-m", "tunegate.cli", "curve", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert not list(tmp_path.iterdir())
