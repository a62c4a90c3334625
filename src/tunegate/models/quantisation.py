"""A base model in NF4, as QLoRA trains over it (arXiv 2305.14314), the same on every machine, and plain again.

Weights are quantised from fp32 whatever the precision of the pass, so that training, evaluation and packaging have the
same numbers.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

from tunegate.models.devices import require_device, require_precision


def load_nf4(folder: Path, *, device: str, precision: str) -> Any:
    """The base model in evaluation mode: its linear layers in NF4, the rest in fp32 or bf16, in which it computes."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging as verbosity

    require_device(device)
    require_precision(device, precision)
    silence()
    verbosity.disable_progress_bar()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=config,
        dtype=torch.float32,
        device_map={"": device},
        use_safetensors=True,
        trust_remote_code=False,
    )
    for layer in quantised_layers(model):
        # bitsandbytes would repack the weights at the first evaluation on some processors, for a kernel that rounds to
        # bf16 and has no gradient: validation would then change the model and end its training.
        layer.support_avx512bf16_for_cpu = False
        layer.weight.quant_state.dtype = dtype
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    return model.eval()


def dequantised(model: Any) -> Any:
    """The model with plain linear layers of the values that the quantised ones computed with."""
    from transformers.utils import logging as verbosity

    level = verbosity.get_verbosity()
    verbosity.set_verbosity_error()
    try:
        return model.dequantize()
    finally:
        verbosity.set_verbosity(level)


def quantised_layers(model: Any) -> list[Any]:
    """Its linear layers that are in NF4."""
    from bitsandbytes.nn import Linear4bit

    return [module for module in model.modules() if isinstance(module, Linear4bit)]


def silence() -> None:
    """Keep bitsandbytes from warning, on import, of a kernel that is not used here, and PEFT of an old name in it."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
