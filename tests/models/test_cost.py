import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.files import write_json
from tunegate.models.cost import Cost, TrainCost, read_cost

SPENT = {"hardware": "a processor, 2 threads", "seconds": 1.5, "peak_memory_bytes": 7}


def test_a_cost_is_read_as_written_and_an_unknown_or_missing_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    write_json(path, SPENT)
    assert read_cost(path, Cost) == Cost(**SPENT)
    with pytest.raises(InputError, match=r"cost\.json: tokens: missing"):
        read_cost(path, TrainCost)
    write_json(path, SPENT | {"second": 1})
    with pytest.raises(InputError, match="second: unknown key; did you mean 'seconds'"):
        read_cost(path, Cost)


def test_reading_a_cost_imports_no_torch() -> None:
    code = "import sys; import tunegate.models.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
