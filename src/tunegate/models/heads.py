"""A base model with a new head over labels in place of its own output.

The head is transformers' own for the architecture; weights that the base's files do not have are initialised, the same
for the same seed.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.models.devices import placed, require_device
from tunegate.models.labels import Labels


@dataclasses.dataclass(frozen=True)
class Headed:
    """A model with a head."""

    model: Any
    head: tuple[str, ...]
    """The names of the modules that make the head, and of others that the base has no weights for, such as a pooler."""


def load_headed(folder: Path, labels: Labels, *, device: str, precision: str, seed: int) -> Headed:
    """The base in `folder` with a head over `labels`, in evaluation mode.

    Raises InputError when transformers has no such head for the architecture.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    require_device(device)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if type(config) not in AutoModelForSequenceClassification._model_mapping:
        remedy = "choose another base, or set train.technique to sft"
        problem = f"transformers has no classification head for the architecture {config.model_type}"
        raise InputError(problem, place="params.yaml: train.technique", remedy=remedy)
    torch.manual_seed(seed)
    with _quietly():
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=len(labels.names),
            id2label=dict(enumerate(labels.names)),
            label2id={name: number for number, name in enumerate(labels.names)},
            problem_type="multi_label_classification" if labels.multi else "single_label_classification",
            dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    _require_precision(model, precision)
    if model.config.pad_token_id is None:
        ends = model.config.eos_token_id
        model.config.pad_token_id = (ends[0] if isinstance(ends, list) else ends) or 0
    return Headed(placed(model, device), head_of(model, report["missing_keys"]))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the report of weights that are missing: that they are is what a new head means."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def head_of(model: Any, missing: list[str]) -> tuple[str, ...]:
    """The modules outside the base model that have weights, and those inside it whose weights are `missing`."""
    outside = [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and next(module.parameters(), None) is not None
    ]
    inside = {name.rpartition(".")[0] for name in missing if name.split(".")[0] == model.base_model_prefix}
    return (*outside, *sorted(inside))


def _require_precision(model: Any, precision: str) -> None:
    """Raise InputError when the architecture does not run in bf16: some of transformers mix in fp32 (XLNet)."""
    import torch

    try:
        with torch.no_grad():
            model.eval()(input_ids=torch.tensor([[0, 1, 2]]))
    except RuntimeError as error:
        if precision != "bf16":
            raise
        problem = f"the architecture {model.config.model_type} does not run in bf16: {str(error).splitlines()[0]}"
        remedy = "set train.precision and evaluate.precision to fp32"
        raise InputError(problem, place="params.yaml", remedy=remedy) from None
