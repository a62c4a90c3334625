"""Checks of the rows: what is trained on, what was lost, whether labels were ever seen, and tasks will be measured.

Works on what the stages `prepare` and `tokenize` wrote, in memory; knows no model.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Params
from tunegate.preflight.findings import Finding, judged

FEW = 0.01
"""A share of trained tokens below this is worth a look."""
LOST = 0.1
"""A share of rows or tokens that are dropped or cut above this is worth a look."""
_WITHOUT_ANSWERS = ("classify", "reinforce")
"""Techniques that learn from no answer of the row."""


def rows_checked(
    params: Params,
    splits: Mapping[str, Sequence[Example]],
    notes: Mapping[str, Any],
    labels: Mapping[str, Mapping[str, int]],
    tasks: Mapping[str, set[str]],
) -> Iterator[Finding]:
    """Every check of the rows: `splits` are the examples, `notes` tokenize's counts, and of each split `labels` with
    their rows, and `tasks` (of the technique multitask).
    """
    if params.train.technique not in _WITHOUT_ANSWERS:
        yield from _trained(params, splits["train"])
    yield _lost(params, notes)
    if _are_classes(params, labels["train"]):
        yield _labels(labels)
    if any(tasks.values()):
        yield _tasks(tasks)


def _trained(params: Params, rows: Sequence[Example]) -> Iterator[Finding]:
    tokens = sum(len(row.ids) for row in rows)
    trained = sum(len(row.labels) - row.labels.count(IGNORED) for row in rows)
    share = trained / max(1, tokens)
    found = f"{trained:,} of {tokens:,} tokens are trained on ({share:.1%})"
    remedy = "look at the mask below: is the answer where you expect it?"
    yield judged("trained tokens", share >= FEW, found, remedy, otherwise="warning" if trained else "refused")
    empty = [row.id for row in rows if row.prompt == len(row.ids)]
    if empty and params.train.technique != "semisupervised":
        said = f"{len(empty):,} rows have no token to train on: {_some(empty)}"
        yield Finding("rows without a trained token", "refused", said, "give them an answer, or take them out")


def _lost(params: Params, notes: Mapping[str, Any]) -> Finding:
    dropped, cut, came = (notes[f"train_{name}"] for name in ("rows_dropped", "rows_cut", "rows_in"))
    tokens = notes["train_tokens_dropped"] + notes["train_tokens_cut"]
    share = max((dropped + cut) / max(1, came), tokens / max(1, notes["train_tokens_in"]))
    found = f"{dropped:,} of {came:,} rows dropped, {cut:,} cut, {tokens:,} tokens lost ({share:.1%})"
    remedy = f"raise tokenize.max_length (it is {params.tokenize.max_length}), or shorten the rows"
    return judged("dropped and cut", share <= LOST, found, remedy, otherwise="warning")


def _are_classes(params: Params, rows: Mapping[str, int]) -> bool:
    """Whether these labels are a set to choose from, and not answers in free words, of which hardly one comes twice."""
    return bool(rows) and (params.train.has_head or 2 * len(rows) <= sum(rows.values()))


def _labels(labels: Mapping[str, Mapping[str, int]]) -> Finding:
    unseen = sorted((labels["test"].keys() | labels["valid"].keys()) - labels["train"].keys())
    found = f"{len(labels['train'])} labels in train" + (f"; never trained on: {_some(unseen)}" if unseen else "")
    remedy = "add training rows of these labels, or raise prepare.min_rows_per_label"
    return judged("labels", not unseen, found, remedy)


def _tasks(tasks: Mapping[str, set[str]]) -> Finding:
    untested = sorted(tasks["train"] - tasks["test"])
    found = f"{len(tasks['train'])} tasks in train" + (f"; without a test row: {_some(untested)}" if untested else "")
    remedy = "give the task more rows, or raise prepare.test_share: nothing will say how good the model is at it"
    return judged("tasks", not untested, found, remedy, otherwise="warning")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
