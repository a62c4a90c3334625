from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.evaluation.trajectory import read_trajectory


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trajectory.csv"
    path.write_text(text)
    return path


def test_an_empty_cell_was_not_measured(tmp_path: Path) -> None:
    path = written(tmp_path, "step,loss,valid_loss\n1,3.5,\n2,2.5,2.75\n")
    assert read_trajectory(path) == [{"step": 1, "loss": 3.5}, {"step": 2, "loss": 2.5, "valid_loss": 2.75}]


@pytest.mark.parametrize("cell", ["nan", "inf", "many"])
def test_a_loss_that_is_no_finite_number_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, f"step,loss\n1,3.5\n2,{cell}\n")
    with pytest.raises(InputError, match=f"not a finite number \\(got '{cell}'\\)") as caught:
        read_trajectory(path)
    assert caught.value.place == f"{path}:3: loss"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column loss"):
        read_trajectory(written(tmp_path, "step\n1\n"))


def test_a_row_that_was_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no step or no loss"):
        read_trajectory(written(tmp_path, "step,loss\n1\n"))
