import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from tunegate.errors import MachineError
from tunegate.models import devices
from tunegate.models.devices import PORTABLE, multiply_bf16_in_fp32, require_precision, use_portable_instructions

BENCH = Path(__file__).resolve().parents[2] / "bench"
MISSING = shutil.which("qemu-x86_64") is None and os.environ.get("TUNEGATE_TEST_EVERYTHING") != "1"


def test_bf16_is_refused_on_a_gpu_without_it_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_multiplies_bf16", lambda: True)
    with pytest.raises(MachineError, match=r"compute capability 7\.5\) has no bf16") as caught:
        require_precision("cuda", "bf16", (7, 5))
    assert "fp32" in caught.value.remedy
    require_precision("cuda", "bf16", (8, 0))
    require_precision("cuda", "fp32", (7, 5))
    require_precision("cpu", "bf16")


@pytest.fixture
def through_fp32() -> Iterator[None]:
    """bf16 products through fp32, whatever the processor has; torch's own again afterwards."""
    if devices._REGISTERED:
        yield
        return
    multiply_bf16_in_fp32()
    yield
    devices._REGISTERED.pop()._destroy()


@pytest.mark.usefixtures("through_fp32")
def test_products_in_bf16_are_those_in_fp32_rounded_once() -> None:
    generator = torch.Generator().manual_seed(1)
    rows, weight, bias = (torch.randn(size, generator=generator) for size in ((32, 64), (48, 64), (48,)))
    exact = [linear(*(part.bfloat16().float() for part in parts)) for parts in ((rows, weight), (rows, weight, bias))]
    found = [linear(*(part.bfloat16() for part in parts)) for parts in ((rows, weight), (rows, weight, bias))]
    assert all(torch.equal(left, right.bfloat16()) for left, right in zip(found, exact, strict=True))
    assert torch.equal(linear(rows, weight, bias), torch.addmm(bias, rows, weight.T))
    sums = found[0].clone()
    assert sums.addmm_(rows.bfloat16(), weight.bfloat16().T) is sums
    assert torch.equal(sums, (exact[0].bfloat16().float() + exact[0]).bfloat16())


@pytest.mark.usefixtures("through_fp32")
def test_gradients_in_bf16_come_from_products_in_fp32() -> None:
    generator = torch.Generator().manual_seed(1)
    draws = [torch.randn(2, 4, 160, 32, generator=generator) for _ in range(3)]
    in_bf16 = [draw.bfloat16().requires_grad_() for draw in draws]
    in_fp32 = [draw.bfloat16().float().requires_grad_() for draw in draws]
    for parts in (in_bf16, in_fp32):
        scaled_dot_product_attention(*parts, is_causal=True).float().pow(2).sum().backward()
    for left, right in zip(in_bf16, in_fp32, strict=True):
        assert left.grad.dtype == torch.bfloat16
        assert float((left.grad - right.grad).abs().max()) <= 0.01 * float(right.grad.abs().max())


@pytest.mark.skipif(MISSING, reason="needs qemu-user")
def test_portable_instructions_give_the_same_bits_on_both_makes_of_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    from processors import MAKES, STEPS

    sizes = ("32", "8", "2")
    runs = [
        subprocess.Popen(
            ["qemu-x86_64", "-cpu", model, sys.executable, "-c", STEPS, *sizes],
            env=os.environ | PORTABLE, stdout=subprocess.PIPE, text=True,
        )
        for model in MAKES.values()
    ]  # fmt: skip
    digests = {process.communicate()[0].split()[0] for process in runs}
    here = [sys.executable, "-c", STEPS, *sizes]
    done = subprocess.run(here, env=os.environ | PORTABLE, capture_output=True, text=True, check=True)
    assert digests == {done.stdout.split()[0]}


def test_a_processor_without_the_portable_instructions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(MachineError, match="not an x86 with AVX2"):
        use_portable_instructions()


def test_with_portable_instructions_bf16_is_multiplied_in_fp32_whatever_the_processor_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert devices._multiplies_bf16()
    use_portable_instructions()
    assert not devices._multiplies_bf16()
