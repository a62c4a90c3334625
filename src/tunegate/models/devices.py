"""Which devices and precisions this machine has, and how a model is put there, according to torch."""

import warnings
from typing import Any

from tunegate.errors import MachineError

_AMPERE = (8, 0)
"""Compute capability from which a GPU of NVIDIA computes in bf16."""

SLOW_BF16 = (
    "this processor has no instructions for bf16 (AVX-512 or AMX), and every step takes a hundred times longer than in "
    "fp32; set train.precision to fp32 in params.yaml"
)

_ALIGNED = 64
"""Bytes: a line of the processor's cache, which is how torch allocates."""


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
    """Raise MachineError when the device cannot compute in the precision.

    Every CPU can, but one without instructions for bf16 multiplies matrices a hundred times slower than in fp32: that
    is a warning. `capability` is the GPU's; asked of the machine when None.
    """
    if precision == "bf16" and device == "cpu" and not _multiplies_bf16():
        warnings.warn(SLOW_BF16, stacklevel=2)
    if device != "cuda" or precision != "bf16":
        return
    major, minor = capability or _capability()
    if (major, minor) < _AMPERE:
        problem = f"precision is bf16, and this GPU (compute capability {major}.{minor}) has no bf16"
        raise MachineError(problem, place="params.yaml: train.precision", remedy="set it to fp32, or use a newer GPU")


def placed(model: Any, device: str) -> Any:
    """The model on a device, in evaluation mode.

    On the CPU every weight is moved to an aligned address. Loaded from a file, weights lie where
    the file's header leaves them, and sums of floats are split by address: the last bit of a logit would depend on it.
    """
    model = model.to(device).eval()
    if device == "cpu":
        for weight in (*model.parameters(), *model.buffers()):
            if weight.data_ptr() % _ALIGNED:
                weight.data = weight.data.clone()
    return model


def _multiplies_bf16() -> bool:
    """Whether oneDNN has a matrix product in bf16 for this CPU; True where torch does not say."""
    import torch

    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return ask is None or bool(ask())


def _capability() -> tuple[int, int]:
    import torch

    # ROCm counts otherwise, and every device of it that torch still supports has bf16.
    major, minor = torch.cuda.get_device_capability() if torch.version.hip is None else _AMPERE
    return int(major), int(minor)
