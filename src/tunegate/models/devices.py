"""Which devices and precisions this machine has, and how a model is put there, according to torch."""

import os
import platform
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunegate.errors import MachineError

_AMPERE = (8, 0)
"""Compute capability from which a GPU of NVIDIA computes in bf16."""

PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Settings of MKL, torch and oneDNN with which all x86 processors with AVX2 give the same bits (docs/training.md).
How many threads share a sum decides its order, too."""

_PRODUCTS = {
    "mm": 1,
    "addmm": 1,
    "addmm_": 1,
    "bmm": 1,
    "baddbmm": 1,
    "baddbmm_": 1,
    "_scaled_dot_product_flash_attention_for_cpu": 1,
    "_scaled_dot_product_flash_attention_for_cpu_backward": 3,
}
"""torch's matrix products, and how many of their outputs have the precision of the inputs."""

_ALIGNED = 64
"""Bytes: a line of the processor's cache, which is how torch allocates."""


def use_portable_instructions() -> None:
    """Have this process, and those that it starts, compute with `PORTABLE`. To be called before torch is imported.

    Raises MachineError on a processor that has not all of the instructions.
    """
    flags = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or (flags.is_file() and " avx2 " not in flags.read_text()):
        problem = "train.instructions is portable, and this processor is not an x86 with AVX2"
        raise MachineError(problem, place="params.yaml", remedy="set it to native, or run on another machine")
    os.environ.update(PORTABLE)


def has_device(device: str) -> bool:
    """Whether this machine has the device."""
    import torch

    return device != "cuda" or torch.cuda.is_available()


def require_device(device: str) -> None:
    """Raise MachineError unless this machine has the device."""
    if not has_device(device):
        remedy = "set device to cpu in params.yaml, run on a machine with a GPU, or `dvc pull` what one has computed"
        raise MachineError("device is cuda and this machine has no usable GPU", place="params.yaml", remedy=remedy)


def require_precision(device: str, precision: str, capability: tuple[int, int] | None = None) -> None:
    """Make the device ready to compute in the precision. Raises MachineError when it cannot.

    Every CPU can, see `multiply_bf16_in_fp32`. `capability` is the GPU's; asked of the machine when None.
    """
    if precision != "bf16":
        return
    if device == "cpu" and not _multiplies_bf16():
        multiply_bf16_in_fp32()
    if device != "cuda":
        return
    major, minor = capability or _capability()
    if (major, minor) < _AMPERE:
        problem = f"precision is bf16, and this GPU (compute capability {major}.{minor}) has no bf16"
        raise MachineError(problem, place="params.yaml: train.precision", remedy="set it to fp32, or use a newer GPU")


def multiply_bf16_in_fp32() -> None:
    """From now on, this process multiplies bf16 matrices on the CPU in fp32 and rounds the product to bf16.

    That is what processors with instructions for bf16 do (products and sums in fp32, one rounding), so products differ
    by the order of sums only, and attention is a little more exact. Without such instructions (AVX-512 or AMX) torch
    falls back to loops that take up to a hundred times as long. Grouped products and forms with `out=` stay torch's.
    """
    with _LOCK:
        if not _REGISTERED:
            _REGISTERED.append(_register())


_LOCK = threading.Lock()
_REGISTERED: list[Any] = []
"""What torch forgets with the last reference to it."""


def _register() -> Any:
    import torch

    library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        # torch warns of every kernel that is replaced.
        warnings.simplefilter("ignore", UserWarning)
        for name, outputs in _PRODUCTS.items():
            own = torch.library.get_kernel(f"aten::{name}", "CPU")
            kernel = _through_fp32(own, outputs, in_place=name.endswith("_"))
            library.impl(name, kernel, "CPU", with_keyset=True)
    return library


def _through_fp32(kernel: Any, outputs: int, *, in_place: bool) -> Callable[..., Any]:
    import torch

    def run(keys: Any, *inputs: Any, **options: Any) -> Any:
        # torch itself refuses factors of several precisions. What follows them (logsumexp) is in fp32 anyway.
        factors = [value for value in inputs[:3] if isinstance(value, torch.Tensor)]
        if any(factor.dtype != torch.bfloat16 for factor in factors):
            return kernel.call_boxed(keys, *inputs, **options)
        result = kernel.call_boxed(keys, *map(widened, inputs), **{k: widened(value) for k, value in options.items()})
        if in_place:
            return inputs[0].copy_(result)
        if isinstance(result, torch.Tensor):
            return result.bfloat16()
        return (*(value.bfloat16() for value in result[:outputs]), *result[outputs:])

    def widened(value: Any) -> Any:
        return value.float() if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 else value

    return run


def placed(model: Any, device: str) -> Any:
    """The model on a device, in evaluation mode.

    On the CPU every weight is moved to an aligned address. Loaded from a file, weights lie where
    the file's header leaves them, and sums of floats are split by address: the last bit of a logit would depend on it.
    """
    import torch

    model = model.to(device).eval()
    if any(weight.dtype == torch.bfloat16 for weight in model.parameters()):
        require_precision(device, "bf16")
    if device == "cpu":
        for weight in (*model.parameters(), *model.buffers()):
            if weight.data_ptr() % _ALIGNED:
                weight.data = weight.data.clone()
    return model


def _multiplies_bf16() -> bool:
    """Whether oneDNN has a matrix product in bf16 for this CPU; True where torch does not say.

    torch asks the processor, whatever oneDNN is limited to.
    """
    import torch

    if os.environ.items() >= PORTABLE.items():
        return False
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return ask is None or bool(ask())


def _capability() -> tuple[int, int]:
    import torch

    # ROCm counts otherwise, and every device of it that torch still supports has bf16.
    major, minor = torch.cuda.get_device_capability() if torch.version.hip is None else _AMPERE
    return int(major), int(minor)
