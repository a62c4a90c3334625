"""policy/gate.yaml as frozen, closed models: what a change must meet.

Read from the base revision, never from the pull request. This module knows the policy's shape, not how a metric is
computed or decided.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunegate.params import Closed

FILE = "policy/gate.yaml"

MetricName = Literal["accuracy", "exact_match", "macro_f1", "macro_precision", "macro_recall", "nll"]
Role = Literal["primary", "guard", "info"]
Direction = Literal["higher", "lower"]
Action = Literal["block", "warn", "approve"]
"""What becomes of something that is not a refusal: it blocks, is only said, or needs a person's approval."""

LOWER_IS_BETTER = ("nll",)

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(gt=0, lt=0.5)]
Cluster = Literal["group", "id"]
Rows = Annotated[int, Field(ge=2)]


class MetricPolicy(Closed):
    """What one metric must meet."""

    role: Role
    """`primary` and `guard` decide and must all hold; `info` is shown."""
    direction: Direction
    """Which way is better."""
    margin: NotNegative = 0.0
    """Largest accepted loss against the baseline, in the metric's own unit (0.02 is two points of accuracy)."""
    floor: float | None = None
    """The value itself may not be worse than this, whatever the baseline's was."""
    alpha: Probability | None = None
    """This metric's own `alpha`, where it is not the policy's. Slices are tested at the primary metric's."""
    cluster: Cluster | None = None
    """This metric's own `cluster`, where it is not the policy's."""
    min_rows: Rows | None = None
    """This metric's own `min_rows`, where it is not the policy's."""


class SlicePolicy(Closed):
    """Subgroups of the test rows, each tested on the primary metric."""

    by: tuple[str, ...] = ()
    """Names of slices (a row's `slices`), for instance language."""
    margin: Positive = 0.1
    """Largest accepted loss within a slice."""
    min_rows: Annotated[int, Field(ge=1)] = 30
    """Slices with fewer rows are counted, not tested."""
    action: Literal["refuse", "warn"] = "warn"
    """What a slice does that is significantly worse than its margin after Holm's correction: refuse, or warn."""


class GuardPolicy(Closed):
    """Bounds on what the metrics do not see."""

    latency_ratio: Positive | None = None
    """Largest p95 of seconds per answer, relative to the highest recorded on the same hardware before."""
    package_ratio: Positive | None = None
    """Largest size of the package, relative to the baseline's."""
    trained_token_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Smallest share of the training tokens that the loss is computed on."""
    dropped_row_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest share of the ingested rows that no split contains."""


class Contamination(Closed):
    """Test rows among the training rows, exact or nearly."""

    near: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Jaccard similarity of the questions' words in runs of three from which two questions are near duplicates."""
    action: Literal["refuse", "warn"] = "refuse"
    """What near duplicates do. Exact ones always refuse."""


class Limit(Closed):
    """A bound on what a change of the data may be, and what becomes of a change beyond it."""

    limit: NotNegative
    """The largest number that is accepted."""
    action: Literal["refuse", "warn"] = "warn"
    """What more than that does."""


class Licenses(Closed):
    """Licences that a source may have."""

    allowed: Annotated[tuple[str, ...], Field(min_length=1)]
    """SPDX identifiers. A source that declares none, or another, is beyond them."""
    action: Literal["refuse", "warn"] = "warn"
    """What such a source does."""


class DataPolicy(Closed):
    """Bounds on how the data may change: what `tunegate data diff` finds. A bound that is left out holds nothing."""

    max_removed_share: Limit | None = None
    """Rows of the baseline's splits that are gone, as a share of them."""
    max_edited_share: Limit | None = None
    """Rows that are edited, as a share of the baseline's."""
    max_drift: Limit | None = None
    """Any shift of labels, slices, sources, lengths or words, 0 to 1: the lower end of its interval counts."""
    max_new_leaks: Limit | None = None
    """Test and validation rows whose question another split repeats, and the baseline's did not."""
    max_leaks_left_out: Limit | None = None
    """New rows that `prepare` left out since a test or validation row asks the same."""
    max_test_rows_seen: Limit | None = None
    """Rows that are new in the test split and were in what the baseline was trained on, exactly or nearly."""
    max_new_duplicates: Limit | None = None
    """New rows that `prepare` left out as duplicates."""
    max_quarantined_share_increase: Limit | None = None
    """How much the share of checked rows in quarantine may rise."""
    personal_data: Literal["refuse", "warn", "allow"] = "allow"
    """What new rows do in which personal data or a secret was met, whether or not it is masked."""
    licenses: Licenses | None = None
    """Licences of the candidate's sources."""


class Policy(Closed):
    """The whole of policy/gate.yaml."""

    metrics: dict[MetricName, MetricPolicy]
    """Each metric's role, direction, margin and floor. One is `primary`."""
    alpha: Probability = 0.05
    """Chance of passing a change that is exactly `margin` worse (one-sided)."""
    cluster: Cluster = "group"
    """Rows that share this value are one observation: a question and its translation, say."""
    min_rows: Rows = 100
    """With fewer test rows nothing passes."""
    min_clusters: Annotated[int, Field(ge=2)] = 50
    """With fewer clusters nothing passes."""
    resamples: Annotated[int, Field(ge=10_000, le=1_000_000)] = 10_000
    """Bootstrap resamples."""
    seed: Annotated[int, Field(ge=0)] = 7
    """Seeds the bootstrap: the same files give the same verdict."""
    power: Annotated[float, Field(gt=0.5, lt=1)] = 0.8
    """Power for which an inconclusive verdict names the rows it needs."""
    slices: SlicePolicy = SlicePolicy()
    """Subgroups."""
    guards: GuardPolicy = GuardPolicy()
    """Bounds on time, size and data."""
    contamination: Contamination = Contamination()
    """Test rows among training rows."""
    data: DataPolicy = DataPolicy()
    """How the data may change."""
    inconclusive: Action = "block"
    """What an inconclusive metric does."""
    protected_change: Action = "approve"
    """What a change of the policy, of the test set or of how it is measured does."""
    test_set_budget: Annotated[int, Field(ge=1)] = 50
    """Uses of one test set after which the verdict warns that it is worn out."""

    @model_validator(mode="after")
    def _has_one_primary(self) -> "Policy":
        primary = [name for name, metric in self.metrics.items() if metric.role == "primary"]
        if len(primary) != 1:
            raise ValueError(f"exactly one metric of role primary, not {len(primary)}")
        return self

    @model_validator(mode="after")
    def _knows_its_directions(self) -> "Policy":
        for name, metric in self.metrics.items():
            right = "lower" if name in LOWER_IS_BETTER else "higher"
            if metric.direction != right:
                raise ValueError(f"metrics.{name}.direction must be {right}")
        return self

    @property
    def primary(self) -> MetricName:
        """The metric that slices are tested on and the headline names."""
        return next(name for name, metric in self.metrics.items() if metric.role == "primary")

    def of(self, name: MetricName) -> "Policy":
        """The policy as it holds for one metric: with its own alpha, cluster and min_rows if it has some."""
        metric = self.metrics[name]
        own = {"alpha": metric.alpha, "cluster": metric.cluster, "min_rows": metric.min_rows}
        return self.model_copy(update={key: value for key, value in own.items() if value is not None})
