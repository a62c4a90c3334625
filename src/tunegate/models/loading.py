"""Loading a tokenizer, a base model and a tuned one from the pipeline's folders, always offline and without pickle.

Knows the folders' layout; does not know which stage asks.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_json, sha256_of
from tunegate.models.acquisition import PROVENANCE
from tunegate.models.auxiliary_models import TEACHER
from tunegate.models.devices import placed, require_device
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels
from tunegate.models.quantisation import load_nf4, silence
from tunegate.models.tokens.template import TEMPLATE
from tunegate.params import Adapter, Closed, Technique, parse
from tunegate.repository.lineage import digest, read_lineage

TUNED = "tuned.json"
"""In a tuned model's folder: what was trained."""

WEIGHTS = "model.safetensors"
"""In it: every weight (full), or the head's (head)."""

CONFIG = "config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a base model's folder; pads on the left, as generation needs."""
    from transformers import AutoTokenizer

    how = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **how)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path, *, device: str, precision: str, quantised: bool = False) -> Any:
    """The base model in fp32 or bf16 on a device, in evaluation mode; `quantised` has its linear layers in NF4."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    require_device(device)
    logging.disable_progress_bar()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if quantised:
        return load_nf4(AutoModelForCausalLM, folder, device=device, dtype=dtype, trust_remote_code=False).eval()
    how = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **how)
    return placed(model, device)


class Record(Closed):
    """tuned.json: what was trained. Folders of earlier releases have none, and hold a LoRA adapter."""

    technique: Technique = "sft"
    adapter: Adapter = "lora"
    labels: tuple[str, ...] | None = None
    """classify: the labels, in the order of the head's outputs."""
    multi_label: bool = False
    """classify: whether a row may have several of them, or none."""
    separator: str = ";"
    """classify: what stands between several."""
    threshold: float = 0.5
    """classify: the probability from which a label of several is given."""
    seed: int = 7
    """Of the weights that the base has not, such as a head's."""


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A tuned model, and what it was before."""

    model: Any
    """In evaluation mode."""
    record: Record
    untuned: Callable[[], AbstractContextManager[Any]]
    """`with tuned.untuned() as model` has the model as it was before training; do not use `tuned.model` meanwhile."""

    @property
    def plain(self) -> Any:
        """The transformers model in it, its layers with adapters if there are any."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model


def load_tuned(base_folder: Path, folder: Path, *, device: str, precision: str) -> Tuned:
    """The model that the stage `train` left in `folder`, over the base that it was trained on.

    Raises RefusedError when it was trained on another base, tokenizer or chat template.
    """
    require_base(base_folder, folder)
    record = read_record(folder)
    before = partial(load_untuned, base_folder, record, device=device, precision=precision)
    if record.adapter == "full":
        model = load_untuned(folder, record, device=device, precision=precision)
        return Tuned(model, record, lambda: contextlib.nullcontext(before()))
    model = before()
    if record.adapter == "head":
        return Tuned(_with_head(model, folder), record, lambda: contextlib.nullcontext(before()))
    return tuned_by(_with_peft(model, folder), record)


def load_untuned(folder: Path, record: Record, *, device: str, precision: str) -> Any:
    """The model in `folder` as training with `record` starts from it, before any adapter: with a new head over its
    labels, or in NF4.
    """
    if record.labels is None:
        return load_base(folder, device=device, precision=precision, quantised=record.adapter == "qlora")
    labels = Labels.recorded(record.model_dump())
    return load_headed(folder, labels, device=device, precision=precision, seed=record.seed).model


def tuned_by(model: Any, record: Record) -> Tuned:
    """A PEFT model, which switches its adapter off to be what it was."""
    return Tuned(model, record, lambda: _without_adapter(model))


def read_record(folder: Path) -> Record:
    """What the folder of a tuned model says that it is."""
    path = folder / TUNED
    if not path.is_file():
        return Record()
    return parse(Record, read_json(path), place=str(path), remedy="run `dvc repro train`, or `dvc checkout` the folder")


def require_base(base_folder: Path, folder: Path) -> None:
    """Raise RefusedError unless the model in `folder` was trained on this base, tokenizer and chat template."""
    lineage = read_lineage(folder)
    for part, found in base_parts(base_folder).items():
        if getattr(lineage.parts, part) != found:
            problem = f"the adapter was trained on another {part} than the one in {base_folder}"
            raise RefusedError(problem, place=str(folder), remedy="run `dvc repro`, or `dvc checkout` for both")


def _with_peft(model: Any, folder: Path) -> Any:
    silence()
    from peft import PeftModel

    return PeftModel.from_pretrained(model, folder).eval()


def _with_head(model: Any, folder: Path) -> Any:
    from safetensors.torch import load_file

    weights = load_file(folder / WEIGHTS)
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        problem = f"weights that the model has not: {', '.join(unknown)}"
        raise RefusedError(problem, place=str(folder / WEIGHTS), remedy="run `dvc repro train`")
    return model.eval()


@contextlib.contextmanager
def _without_adapter(model: Any) -> Iterator[Any]:
    with model.disable_adapter():
        yield model


def base_parts(folder: Path) -> dict[str, str]:
    """The lineage parts that a base model's folder holds: sha256 of the model, its template and its tokenizer.

    The model is its weights and config.json, which says how they are computed with, and the same of a teacher, which
    decides as well what becomes of it.
    """
    model = _model(folder)
    if (folder / TEACHER).is_dir():
        model |= {f"{TEACHER}/{name}": sha256 for name, sha256 in _model(folder / TEACHER).items()}
    return {
        "base": digest(model),
        # An encoder has none.
        "template": sha256_of(folder / TEMPLATE) if (folder / TEMPLATE).is_file() else hashlib.sha256().hexdigest(),
        "tokenizer": digest({name: sha256_of(folder / name) for name in TOKENIZER_FILES}),
    }


def _model(folder: Path) -> dict[str, str]:
    names = read_json(folder / PROVENANCE)["files"]
    found = {name: sha256_of(folder / name) for name in names if name.endswith(".safetensors")}
    if not found:
        raise InputError("no safetensors files", place=str(folder), remedy="run `dvc repro base`")
    # Which version of transformers wrote the file changes nothing.
    config = {key: value for key, value in read_json(folder / CONFIG).items() if key != "transformers_version"}
    return found | {CONFIG: digest(config)}
