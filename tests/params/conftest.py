from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.params import load_params

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def fault(tmp_path: Path) -> Callable[[str, str], str]:
    """What load_params says after one line of the shipped file was replaced."""

    def of(line: str, instead: str) -> str:
        text = SHIPPED.read_text()
        assert text.count(f"{line}") == 1
        (tmp_path / "params.yaml").write_text(text.replace(line, instead))
        with pytest.raises(InputError) as caught:
            load_params(tmp_path / "params.yaml")
        assert caught.value.remedy
        return f"{caught.value.place}: {caught.value.problem}".replace(f"{tmp_path}/", "")

    return of
