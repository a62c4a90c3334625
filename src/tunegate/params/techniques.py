"""The sections inside of `train`, one per technique: the keys of that technique alone."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunegate.params.closed import Closed, Count

Positive = Annotated[float, Field(gt=0)]
Portion = Annotated[float, Field(ge=0, le=1)]


class Pretrain(Closed):
    """Unsupervised adaptation to a domain: the next token of raw text."""

    general: str | None = None
    """A source in data/sources.yaml whose rows are not trained on: they measure what the model forgets."""


class Classify(Closed):
    """A head over the labels instead of an answer in words."""

    multi_label: bool = False
    """A row may have several labels, or none."""
    separator: Annotated[str, Field(min_length=1)] = ";"
    """What stands between the labels of a row that has several."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which a label of several is given."""


class Preference(Closed):
    """The chosen answer (`label`, or the last message) over the `rejected` one."""

    loss: Literal["dpo", "kto", "orpo"] = "dpo"
    """DPO (arXiv 2305.18290), KTO (arXiv 2402.01306) or ORPO (arXiv 2403.07691)."""
    beta: Positive = 0.1
    """How strongly the model is held to where it started; ORPO's weight of the odds ratio."""


class Reward(Closed):
    """One programmatic reward of a generated answer."""

    kind: Literal["exact_match", "regex", "json_schema", "python"]
    """Equal to the row's answer, matched by a pattern, valid by a JSON schema, or what a function of yours returns."""
    weight: Positive = 1.0
    """Its weight in the sum."""
    pattern: str | None = None
    """regex: the pattern that the whole answer must match."""
    schema_file: str | None = None
    """json_schema: the path of the schema in the repository."""
    function: str | None = None
    """python: <path>:<function> in the repository, called with the answer and the row."""
    timeout_seconds: Positive = 10.0
    """How long one call may take, but for exact_match; a longer one is killed and stops the run."""

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> "Reward":
        needs = {"regex": "pattern", "json_schema": "schema_file", "python": "function"}
        for kind, name in needs.items():
            if (getattr(self, name) is not None) != (self.kind == kind):
                raise ValueError(f"{name} with kind {kind}, and with no other")
        return self


class Reinforce(Closed):
    """Answers that the model samples are rewarded by programs."""

    algorithm: Literal["grpo", "rloo"] = "grpo"
    """GRPO (arXiv 2402.03300) or RLOO (arXiv 2402.14740)."""
    rewards: tuple[Reward, ...] = (Reward(kind="exact_match"),)
    """What an answer is worth: the weighted sum of these."""
    answers_per_row: Annotated[int, Field(ge=2)] = 8
    """Answers sampled to one row and compared with each other."""
    max_new_tokens: Count = 32
    """Longest sampled answer, in tokens."""
    temperature: Positive = 1.0
    """Of sampling."""
    clip: Positive = 0.2
    """How far a probability may move from that at sampling before its gradient stops."""
    updates: Count = 1
    """Optimizer steps on one set of sampled answers."""
    kl: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the divergence from the model that training started from."""


class Distill(Closed):
    """A small model learns from a large one (`base.teacher`)."""

    temperature: Positive = 1.0
    """Softens both distributions."""
    hard_share: Portion = 0.0
    """Weight of the usual loss on the row's own answer, added to that on the teacher's distribution."""
    on_policy: Portion = 0.0
    """Share of the steps on answers that the student samples itself (arXiv 2306.13649)."""
    max_new_tokens: Count = 32
    """Longest sampled answer, in tokens."""


class Multitask(Closed):
    """Several tasks in one model."""

    task: str = "source"
    """What names a row's task: `source`, or a slice."""
    temperature: Annotated[float, Field(ge=1)] = 1.0
    """1 draws tasks in proportion to their size; a larger value evens them out."""


class Semisupervised(Closed):
    """Rows without a label are labelled by the model where it is confident, and trained on."""

    rounds: Count = 2
    """How often rows are labelled anew; each round trains for `epochs`."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability of the whole answer from which it is accepted."""


class Fewshot(Closed):
    """Meta-learning over tasks (Reptile, arXiv 1803.02999): an initialisation from which a new task needs few rows."""

    task: str = "source"
    """What names a row's task: `source`, or a slice."""
    inner_steps: Count = 4
    """Steps on one task before the initialisation moves towards their result."""
    inner_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Of these steps (SGD)."""
    shots: Count = 4
    """Rows of a task in one inner step."""
