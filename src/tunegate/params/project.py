"""The whole of params.yaml, and the sections that are neither about data nor about training."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunegate.files import read_yaml
from tunegate.params.closed import Closed, Count, Device, Precision, parse
from tunegate.params.data import Ingest, Prepare, Tokenize, Validate
from tunegate.params.training import Train

OF_TURNS = ("sft", "distill", "multitask", "semisupervised", "fewshot")
"""Techniques that learn the assistant's answers, and so may learn those of every turn."""


class Base(Closed):
    """The pretrained model that everything starts from."""

    model: str = "smollm2-135m-instruct"
    """A name in models/catalog.yaml."""
    teacher: str | None = None
    """A name in models/catalog.yaml: the teacher of `distill`; kept in models/base/teacher."""
    translator: str | None = None
    """A name in models/catalog.yaml: the translator of `back_translation`; kept in models/base/translator."""
    allowed_licenses: tuple[str, ...] = ("Apache-2.0", "MIT", "BSD-3-Clause")
    """SPDX identifiers; a base model under any other licence is refused."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision in which the base weights are stored. Packed weights (GGUF) are unpacked to it."""


class Evaluate(Closed):
    """Answers of the untuned base and of the tuned model on the test rows."""

    device: Device = "cpu"
    """Device class that answers."""
    precision: Precision = "fp32"
    """Precision of the forward pass."""
    batch_size: Count = 16
    """Rows answered together."""
    max_new_tokens: Count = 24
    """Longest answer, in tokens."""
    ignore_case: bool = True
    """An answer is correct when it equals the reference after trimming and, if true, ignoring case."""


class Score(Closed):
    """From answers to metrics."""

    name: str = Field(default="permit-helpdesk", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The model's name in MLflow: its experiment and its registered model. One per repository."""
    min_slice_rows: Count = 5
    """Slices with fewer test rows are counted but get no metrics: the number would be noise."""


class Package(Closed):
    """What is shipped: merged weights, exported for serving, checked and signed off by a manifest."""

    export: Literal["f16", "q8_0", "safetensors"] = "f16"
    """f16 and q8_0: GGUF, which the service answers from, in half precision or in 8 bits in blocks of 32. safetensors:
    the whole model in fp32 as transformers loads it; models with a head have no other form."""
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Largest accepted difference between the logits of merged and unmerged model, relative to the largest logit."""


class Compute(Closed):
    """The machines that are used. `processes`, `nodes` and `strategy` are part of the key of `train`, since sums of
    floats depend on how they are split; the rest is in no stage's key: the output is the same, byte for byte.
    """

    engine: Literal["local", "ray"] = "local"
    """local: this machine, or what a launcher started. ray: the Ray cluster of RAY_ADDRESS."""
    processes: Count = 1
    """train: processes on each node, one per GPU."""
    nodes: Count = 1
    """train: machines."""
    strategy: Literal["none", "ddp", "fsdp2"] = "none"
    """train: how the processes share the work: each the whole model (ddp), or each a part of it (fsdp2)."""
    memory: Annotated[str, Field(pattern=r"^[1-9]\d*(MB|GB)$")] | None = None
    """Working memory of a data stage, as 512MB or 4GB; what needs more goes to disk. null: half of the machine's."""
    reuse: bool = True
    """Keep the results of each row below .tunegate/reuse, so that an unchanged row costs little the next time."""

    @model_validator(mode="after")
    def _shares_by_a_strategy(self) -> "Compute":
        if (self.processes * self.nodes > 1) is (self.strategy == "none"):
            raise ValueError("strategy ddp or fsdp2 with several processes, and none with one")
        return self


class Params(Closed):
    """The whole of params.yaml."""

    compute: Compute
    base: Base
    ingest: Ingest
    validate_: Validate = Field(alias="validate")
    prepare: Prepare
    tokenize: Tokenize
    train: Train
    evaluate: Evaluate
    score: Score
    package: Package

    @model_validator(mode="after")
    def _has_a_teacher(self) -> "Params":
        if (self.base.teacher is not None) != (self.train.technique == "distill"):
            raise ValueError("base.teacher must be named for technique distill, and for no other")
        return self

    @model_validator(mode="after")
    def _has_a_translator(self) -> "Params":
        asks = any(one.kind == "back_translation" for one in self.tokenize.augment)
        if (self.base.translator is not None) != asks:
            raise ValueError("base.translator must be named for augment kind back_translation, and for nothing else")
        return self

    @model_validator(mode="after")
    def _treats_rows_as_its_technique_can(self) -> "Params":
        technique = self.train.technique
        if self.tokenize.over_length == "split" and technique != "pretrain":
            raise ValueError(
                f"tokenize.over_length must not be split with technique {technique}: only raw text can be split"
            )
        if self.tokenize.turns == "all" and technique not in OF_TURNS:
            raise ValueError(f"tokenize.turns must be last with technique {technique}, which learns one answer or none")
        if technique == "fewshot" and self.compute.processes * self.compute.nodes > 1:
            raise ValueError("compute.processes and compute.nodes must be 1 with technique fewshot")
        return self


def load_params(path: Path) -> Params:
    """The parameters in `path`. Raises InputError with key, value and remedy."""
    return parse(Params, read_yaml(path), place=str(path), remedy="docs/params.md lists every key")
