"""A tuned model from the folder that the stage `train` left, over its base, and the model that it was before."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.errors import RefusedError
from tunegate.models.base_identity import require_base
from tunegate.models.folders import WEIGHTS, TunedRecord, read_record
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels
from tunegate.models.loading import load_base
from tunegate.models.quantisation import load_nf4, silence


@dataclasses.dataclass(frozen=True)
class TunedModel:
    """A tuned model, and what it was before."""

    model: Any
    """In evaluation mode."""
    record: TunedRecord
    untuned: Callable[[], AbstractContextManager[Any]]
    """`with tuned.untuned() as model` has the model as it was before training; do not use `tuned.model` meanwhile."""

    @property
    def plain(self) -> Any:
        """The transformers model in it, its layers with adapters if there are any."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model


def load_tuned(base_folder: Path, folder: Path, *, device: str, precision: str) -> TunedModel:
    """The model that the stage `train` left in `folder`, over the base that it was trained on.

    Raises RefusedError when it was trained on another base, tokenizer or chat template.
    """
    require_base(base_folder, folder)
    record = read_record(folder)
    untuned = partial(load_untuned, base_folder, record, device=device, precision=precision)
    if record.adapter == "full":
        model = load_untuned(folder, record, device=device, precision=precision)
        return TunedModel(model, record, lambda: contextlib.nullcontext(untuned()))
    model = untuned()
    if record.adapter == "head":
        return TunedModel(_with_head(model, folder), record, lambda: contextlib.nullcontext(untuned()))
    return tuned_from_peft(_with_peft(model, folder), record)


def load_untuned(folder: Path, record: TunedRecord, *, device: str, precision: str) -> Any:
    """The model in `folder` as training with `record` starts from it, before any adapter: with a new head over its
    labels, or in NF4.
    """
    if record.labels is None:
        load = load_nf4 if record.adapter == "qlora" else load_base
        return load(folder, device=device, precision=precision)
    labels = Labels.recorded(record.model_dump())
    return load_headed(folder, labels, device=device, precision=precision, seed=record.seed).model


def tuned_from_peft(model: Any, record: TunedRecord) -> TunedModel:
    """A PEFT model, which is the untuned one while its adapter is switched off."""
    return TunedModel(model, record, lambda: _without_adapter(model))


def _with_peft(model: Any, folder: Path) -> Any:
    silence()
    from peft import PeftModel

    return PeftModel.from_pretrained(model, folder).eval()


def _with_head(model: Any, folder: Path) -> Any:
    from safetensors.torch import load_file

    weights = load_file(folder / WEIGHTS)
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        problem = f"weights that the model does not have: {', '.join(unknown)}"
        raise RefusedError(problem, place=str(folder / WEIGHTS), remedy="run `dvc repro train`")
    return model.eval()


@contextlib.contextmanager
def _without_adapter(model: Any) -> Iterator[Any]:
    with model.disable_adapter():
        yield model
