"""params.yaml as frozen, closed pydantic models: one class per stage, its section's name in lower case.

An unknown key is refused with the nearest known name; a value out of range with the range. The text under a field is
its documentation and becomes docs/params.md. `Closed` and `parse` also serve the other files that people write
(sources, catalogue, releases). This module does not know what a stage does with its parameters.
"""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tunegate.errors import InputError
from tunegate.files import read_yaml

Share = Annotated[float, Field(ge=0, lt=1)]
Split = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
PersonalKind = Literal[
    "email", "phone", "iban", "credit_card", "ip_address", "national_id", "person", "location", "organization"
]


class Closed(BaseModel):
    """A frozen model that refuses unknown keys and does not convert types silently."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


class Base(Closed):
    """The pretrained model that everything starts from."""

    model: str = "smollm2-135m-instruct"
    """A name in models/catalog.yaml."""
    allowed_licenses: tuple[str, ...] = ("Apache-2.0", "MIT", "BSD-3-Clause")
    """SPDX identifiers; a base model under any other licence is refused."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision in which the base weights are stored. Packed weights (GGUF) are unpacked to it."""


class Ingest(Closed):
    """From the sources to canonical rows."""

    limit: Count | None = None
    """Keep only the first N rows of each source; for trying things out. null keeps all."""


class Validate(Closed):
    """Great Expectations over the ingested rows."""

    suite: str = "questions"
    """data/expectations/<suite>.json."""
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Stop when more than this share of the rows fails an expectation of severity warning."""


class Mix(Closed):
    """How much of one source is used."""

    weight: Annotated[float, Field(gt=0)] = 1.0
    """Its size relative to the other sources with a weight; the one that is shortest for its weight sets the scale."""
    cap: Count | None = None
    """At most this many rows of it."""


class PersonalData(Closed):
    """E-mail addresses, numbers and names of people in the rows."""

    action: Literal["keep", "drop", "mask", "pseudonymise"] = "mask"
    """keep the text (it is still counted), drop the row, put a placeholder such as [EMAIL], or a made-up value."""
    kinds: tuple[PersonalKind, ...] = ("email", "phone", "iban", "credit_card", "ip_address", "national_id")
    """What is looked for. person, location and organization need `model`."""
    model: bool = False
    """Also ask Presidio's language model (extra `personal-data`; English; some 100 rows a second)."""
    key: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    """Fingerprint of the secret TUNEGATE_PSEUDONYM_KEY that makes surrogates: `tunegate data key` prints it."""


class Prepare(Closed):
    """Cleaning, deduplication, personal data and splits."""

    repair_text: bool = True
    """Mend broken encodings (mojibake), control characters and stray white space."""
    strip_html: bool = False
    """Take HTML tags, scripts and comments out, and turn entities into characters."""
    min_characters: Annotated[int, Field(ge=0)] = 0
    """Drop a row whose question is shorter."""
    max_characters: Count | None = None
    """Drop a row whose question and answer together are longer. null keeps all."""
    max_repetition: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Drop a row in which runs of three words that occur before make up more than this share. 1 keeps all."""
    deduplicate: bool = True
    """Drop a row whose question and answer equal an earlier row's."""
    near_duplicates: Annotated[float, Field(ge=0.5, le=1)] | None = 0.9
    """Jaccard similarity of the words in runs of three from which a row is a near duplicate of an earlier one with the
    same answer, or leaks from one split into another. null looks for neither."""
    personal_data: PersonalData = PersonalData()
    """What happens to personal data."""
    secrets: Literal["keep", "drop", "mask"] = "drop"
    """What happens to a row with a password, a token or a private key in it."""
    mixture: dict[str, Mix] = Field(default={})
    """Source to how much of it is used. A source that is not named is used whole."""
    min_rows_per_label: Annotated[int, Field(ge=1)] = 2
    """Stop when a label has fewer rows: it cannot be learned and tested. Applies to rows with a label."""
    label_noise: bool = False
    """Report rows whose label a model that has not seen them does not believe (cleanlab), in label_issues.json."""
    valid_share: Split = 0.1
    """Share of the groups that go to the validation split."""
    test_share: Split = 0.2
    """Share of the groups that go to the test split."""
    stratify: bool = False
    """Give every label its shares, as nearly as groups allow. Rows added later may then move old ones."""
    split_key: str = Field(default="permit-helpdesk", min_length=1)
    """Key of the hash that assigns a group to its split. Another key is another, equally good, split."""
    test_set: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """sha256 of data/frozen/test.json, by `tunegate data freeze`: the test split is then these rows and no others."""

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "Prepare":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("test_share + valid_share must be less than 1")
        return self


class Tokenize(Closed):
    """From rows to token ids and the mask of what is trained on."""

    max_length: Annotated[int, Field(ge=8)] = 256
    """Longest example, in tokens, prompt and answer together."""
    over_length: Literal["drop", "truncate", "error"] = "drop"
    """What happens to a longer one: drop the row, cut its end, or stop."""


class Train(Closed):
    """LoRA fine-tuning."""

    seed: Annotated[int, Field(ge=0)] = 7
    """Seeds initial weights, row order and dropout."""
    device: Device = "cpu"
    """Device class the model is trained on. Named here, not detected, so that it is part of the stage's key."""
    precision: Precision = "bf16"
    """Precision of the forward and backward pass; adapter weights and the optimizer stay in fp32."""
    rank: Count = 16
    """Rank of the low-rank update (LoRA, arXiv 2106.09685)."""
    alpha: Count = 32
    """Scale of the update: alpha / rank."""
    dropout: Share = 0.0
    """Dropout on the adapter's input."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """`all-linear`, or the names of the linear layers that get an adapter."""
    epochs: Count = 6
    """Passes over the training rows."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    """Peak learning rate of AdamW."""
    warmup_share: Share = 0.1
    """Share of the steps over which the learning rate rises linearly; it then falls along a cosine to 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's decoupled weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""
    tokens_per_step: Annotated[int, Field(ge=8)] = 512
    """Tokens in one optimizer step: whole examples, shuffled, laid end to end without padding."""
    checkpoint_every: Count = 50
    """Optimizer steps between two checkpoints, from which a killed run resumes."""


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

    export: Literal["f16", "q8_0"] = "f16"
    """Precision of the exported weights (GGUF): half precision, or 8 bits in blocks of 32."""
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Largest accepted difference between the logits of merged and unmerged model, relative to the largest logit."""


class Compute(Closed):
    """How much of which machine is used: never part of a stage's key, since the bytes that come out are the same."""

    engine: Literal["local", "ray"] = "local"
    """local: this machine. ray: prepare and tokenize map their batches on the Ray cluster of RAY_ADDRESS."""
    memory: Annotated[str, Field(pattern=r"^[1-9]\d*(MB|GB)$")] | None = None
    """Working memory of a data stage, as 512MB or 4GB; what needs more goes to disk. null: half of the machine's."""
    reuse: bool = True
    """Keep below .tunegate/reuse what was made of each row, so that a row that is there again costs little."""


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


Model = TypeVar("Model", bound=BaseModel)


def load_params(path: Path) -> Params:
    """The parameters in `path`. Raises InputError with key, value and remedy."""
    return parse(Params, read_yaml(path), place=str(path), remedy="docs/params.md lists every key")


def parse(model: type[Model], value: Any, *, place: str, remedy: str) -> Model:
    """`value`, as read from YAML or JSON, as a `model`. Raises InputError for its first fault."""
    try:
        # Strict, as JSON: "16", true and 7.0 are no whole numbers, while a list may become a tuple.
        return model.model_validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        faults = error.errors()
        fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
        where = _dotted(fault["loc"])
        problem = _problem(model, fault)
        raise InputError(problem, place=f"{place}: {where}" if where else place, remedy=remedy) from None


def _problem(model: type[BaseModel], fault: Any) -> str:
    kind, location = fault["type"], fault["loc"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _known_keys(model, location[:-1]), n=1, cutoff=0.5)
        return "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message if message.startswith("test_share") else f"must be {message}"
    return f"{message} (got {fault['input']!r})" if not isinstance(fault["input"], dict) else message


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    found: list[type[BaseModel]] = [model]
    for step in location:
        inner: list[type[BaseModel]] = []
        for candidate in found:
            for name, field in candidate.model_fields.items():
                if step in (name, field.alias):
                    inner.extend(_models_in(field.annotation))
        found = inner or found
    return [field.alias or name for candidate in found for name, field in candidate.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")
