import warnings

import pytest

from tunegate.errors import MachineError
from tunegate.models import devices
from tunegate.models.devices import SLOW_BF16, require_precision


def test_bf16_is_refused_on_a_gpu_without_it_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_multiplies_bf16", lambda: True)
    with pytest.raises(MachineError, match=r"compute capability 7\.5\) has no bf16") as caught:
        require_precision("cuda", "bf16", (7, 5))
    assert "fp32" in caught.value.remedy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_precision("cuda", "bf16", (8, 0))
        require_precision("cuda", "fp32", (7, 5))
        require_precision("cpu", "bf16")


def test_bf16_on_a_cpu_without_instructions_for_it_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_multiplies_bf16", lambda: False)
    with pytest.warns(UserWarning, match="set train.precision to fp32"):
        require_precision("cpu", "bf16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_precision("cpu", "fp32")
    assert "bf16" in SLOW_BF16
