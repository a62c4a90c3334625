"""The section `train`: what to train and how."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from tunegate.params.closed import Closed, Count, Device, Precision, Share
from tunegate.params.techniques import (
    Classify,
    Distill,
    Fewshot,
    Multitask,
    Preference,
    Pretrain,
    Reinforce,
    Semisupervised,
)

Technique = Literal[
    "sft",
    "pretrain",
    "classify",
    "preference",
    "reinforce",
    "distill",
    "multitask",
    "semisupervised",
    "fewshot",
]
Adapter = Literal["lora", "rslora", "dora", "qlora", "full", "head"]
_OF_ADAPTERS = ("rank", "alpha", "dropout", "target_modules")


class Train(Closed):
    """What is trained, on what, and how."""

    technique: Technique = "sft"
    """What the model learns from: docs/training.md has a chapter for each. Its own keys stand in the section of its
    name."""
    seed: Annotated[int, Field(ge=0)] = 7
    """Seeds initial weights, row order and dropout."""
    device: Device = "cpu"
    """Device class the model is trained on. Named here, not detected, so that it is part of the stage's key."""
    precision: Precision = "bf16"
    """Precision of the forward and backward pass; trained weights and the optimizer stay in fp32."""
    instructions: Literal["native", "portable"] = "native"
    """native: the fastest instructions of the processor. portable: those that give the same bits on every make of x86
    processor with AVX2, in one thread; several times slower, on the device cpu only."""
    adapter: Adapter = "lora"
    """LoRA (arXiv 2106.09685), rsLoRA (2312.03732), DoRA (2402.09353), QLoRA (2305.14314: base in NF4), every weight,
    or only the head of `classify`."""
    rank: Count = 16
    """Rank of the low-rank update."""
    alpha: Count = 32
    """Scale of the update: alpha / rank; rsLoRA's is alpha / √rank."""
    dropout: Share = 0.0
    """Dropout on the adapter's input."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """`all-linear`, or the names of the linear layers that get an adapter."""
    epochs: Count = 6
    """Passes over the training rows."""
    tokens_per_step: Annotated[int, Field(ge=8)] = 512
    """Tokens in one optimizer step: whole examples, shuffled, laid end to end without padding."""
    tokens_per_batch: Annotated[int, Field(ge=8)] | None = None
    """Tokens in one forward pass: a step accumulates the gradients of several. A longer row goes alone. null: all of a
    step's at once."""
    activation_checkpointing: bool = False
    """Compute activations a second time in the backward pass: less memory, a third more time."""
    optimizer: Literal["adamw", "adamw_8bit", "sgd"] = "adamw"
    """AdamW (arXiv 1711.05101), the same with moments in 8 bits (arXiv 2110.02861), or SGD."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls to 0 after the warm-up, if it does."""
    warmup_share: Share = 0.1
    """Share of the steps over which the learning rate rises linearly."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a moving average of the trained weights, which is then what is kept. null keeps the weights."""
    validate_every: Count | None = None
    """Optimizer steps between two measurements on the validation rows. null: at the end of each epoch."""
    select: Literal["last", "best"] = "last"
    """Which weights are kept: those of the last step, or those with the lowest loss on the validation rows."""
    early_stopping: Count | None = None
    """Stop after this many measurements on the validation rows without a lower loss. null never stops early."""
    checkpoint_every: Count = 50
    """Optimizer steps between two checkpoints, from which a killed run resumes."""
    keep_checkpoints: Count = 1
    """How many of them are kept, the newest."""
    pretrain: Pretrain = Pretrain()
    """Keys of unsupervised domain adaptation."""
    classify: Classify = Classify()
    """Keys of classification with a head."""
    preference: Preference = Preference()
    """Keys of learning from chosen and rejected answers."""
    reinforce: Reinforce = Reinforce()
    """Keys of reinforcement learning with programmatic rewards."""
    distill: Distill = Distill()
    """Keys of distillation from a teacher."""
    multitask: Multitask = Multitask()
    """Keys of learning several tasks at once."""
    semisupervised: Semisupervised = Semisupervised()
    """Keys of pseudo-labelling."""
    fewshot: Fewshot = Fewshot()
    """Keys of meta-learning."""

    @property
    def has_head(self) -> bool:
        """Whether the model answers by a head over labels instead of words."""
        return self.technique == "classify"

    @model_validator(mode="after")
    def _has_no_key_without_effect(self) -> "Train":
        for name in get_args(Technique):
            if name in self.model_fields_set and name != self.technique:
                raise ValueError(f"without the section {name}: technique is {self.technique}")
        idle = [name for name in _OF_ADAPTERS if name in self.model_fields_set and self.adapter in ("full", "head")]
        if idle:
            raise ValueError(f"without {', '.join(idle)}: they have no effect with adapter {self.adapter}")
        if self.adapter == "head" and self.technique != "classify":
            raise ValueError(f"another adapter than head: technique {self.technique} has no head")
        if self.tokens_per_batch is not None and self.technique == "fewshot":
            raise ValueError("without tokens_per_batch: technique fewshot takes `shots` rows at once")
        if self.adapter == "head" and self.activation_checkpointing:
            raise ValueError("activation_checkpointing false with adapter head, which keeps no activations")
        if self.instructions == "portable" and self.device != "cpu":
            raise ValueError(f"instructions must be native with device {self.device}, or device must be cpu")
        if not self.target_modules:
            raise ValueError("target_modules with one name at least, or all-linear")
        if self.tokens_per_batch is not None and self.tokens_per_batch > self.tokens_per_step:
            raise ValueError("tokens_per_batch of at most tokens_per_step")
        return self
