import pytest

from tunegate.errors import MachineError
from tunegate.models.devices import require_precision


def test_bf16_is_refused_on_a_gpu_without_it_and_nowhere_else() -> None:
    with pytest.raises(MachineError, match=r"compute capability 7\.5\) has no bf16") as caught:
        require_precision("cuda", "bf16", (7, 5))
    assert "fp32" in caught.value.remedy
    require_precision("cuda", "bf16", (8, 0))
    require_precision("cuda", "fp32", (7, 5))
    require_precision("cpu", "bf16")
