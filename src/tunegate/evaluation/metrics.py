"""From answered examples to the numbers in reports/: metrics, slices, latency, confusion.

Conventions. Rows with a label are a classification: the classes are the references that occur among them; an answer
that is not a class is "(other)" and counts as wrong for its row; macro averages weigh every class alike and take 0
where a class was never answered. Rows without a label (free text) get exact match and NLL only, rows without a question
(raw text) perplexity and NLL. Numbers are rounded to six decimals, and sums do not depend on the order of the rows.
"""

import csv
import dataclasses
import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tunegate.evaluation.examples import MODELS, Example
from tunegate.models.cost import Cost, TrainCost
from tunegate.models.labels import split

OTHER = "(other)"
"""Stands for an answer that is not one of the classes."""

Metrics = dict[str, float]

_LARGEST_EXPONENT = 700.0


@dataclasses.dataclass(frozen=True)
class Pair:
    """What should have been answered, and what was: a class or `OTHER`."""

    reference: str
    answer: str


def metrics_of(
    examples: Sequence[Example],
    *,
    lineage: str,
    test_set: str,
    min_slice_rows: int,
    ignore_case: bool,
    separator: str | None = None,
) -> dict[str, Any]:
    """The content of reports/metrics.json: both models, their difference, and every slice.

    `lineage` names the model and `test_set` (a sha256) the rows, so that uses of a test set can be counted. With a
    `separator`, references and answers are sets of labels.
    """
    overall = {model: _overall(examples, model, ignore_case) for model in MODELS}
    if separator is not None:
        overall = {model: values | label_f1(examples, model, separator) for model, values in overall.items()}
    return {
        "lineage": lineage,
        "test_set": test_set,
        "rows": len(examples),
        "labelled_rows": sum(example.label is not None for example in examples),
        **overall,
        "delta": _difference(overall),
        "outcomes": _outcomes(examples),
        "slices": _slices(examples, min_slice_rows),
    }


def timings_of(examples: Sequence[Example], *, train: TrainCost, evaluate: Cost) -> dict[str, Any]:
    """The content of reports/timings.json: seconds per row of both models, and what two stages cost.

    Differs from run to run.
    """
    latency = {model: _latency(examples, model) for model in MODELS}
    return {"rows": len(examples), **latency, "train": train.model_dump(), "evaluate": evaluate.model_dump()}


def pairs_of(examples: Sequence[Example], model: str, *, ignore_case: bool) -> list[Pair]:
    """For every row with a label: its reference and the class that `model` answered."""
    labelled = [example for example in examples if example.label is not None]
    classes = {_plain(example.reference, ignore_case): example.reference for example in labelled}
    return [Pair(example.reference, _class_of(example, model, classes, ignore_case)) for example in labelled]


def confusion_csv(examples: Sequence[Example], *, ignore_case: bool) -> str:
    """The content of reports/confusion.csv: the tuned model's pairs, for DVC's confusion plot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["reference", "answer"])
    writer.writerows([pair.reference, pair.answer] for pair in pairs_of(examples, "tuned", ignore_case=ignore_case))
    return text.getvalue()


def label_f1(examples: Sequence[Example], model: str, separator: str) -> Metrics:
    """F1 over all labels together (micro), and its mean over the labels that the references have (macro).

    For rows with several labels, of which accuracy asks for all and no others; F1 also credits a part of them. A label
    that is in no reference and no answer counts nowhere; without any, both are 0.
    """
    right, answered, expected = Counter[str](), Counter[str](), Counter[str]()
    for example in examples:
        reference, answer = (set(split(text, separator)) for text in (example.reference, example.answer_of(model).text))
        right.update(reference & answer)
        answered.update(answer)
        expected.update(reference)
    scores = [_f1(right[name], answered[name], expected[name]) for name in sorted(expected)]
    micro = _f1(right.total(), answered.total(), expected.total())
    return {"label_micro_f1": _round(micro), "label_macro_f1": _mean(scores) if scores else 0.0}


def _f1(right: int, answered: int, expected: int) -> float:
    return 2 * right / (answered + expected) if answered + expected else 0.0


def outcome_of(example: Example) -> str:
    """`fixed`, `broken`, `right` (both are) or `wrong` (both are). Means nothing where nothing is asked."""
    if example.tuned.correct:
        return "right" if example.base.correct else "fixed"
    return "broken" if example.base.correct else "wrong"


def _overall(examples: Sequence[Example], model: str, ignore_case: bool) -> Metrics:
    from sklearn.metrics import precision_recall_fscore_support

    metrics = _shares(examples, model)
    pairs = pairs_of(examples, model, ignore_case=ignore_case)
    if pairs:
        references = [pair.reference for pair in pairs]
        answers = [pair.answer for pair in pairs]
        precision, recall, f1, _ = precision_recall_fscore_support(
            references, answers, labels=sorted(set(references)), average="macro", zero_division=0
        )
        metrics |= {"macro_precision": _round(precision), "macro_recall": _round(recall), "macro_f1": _round(f1)}
    return metrics


def _shares(examples: Sequence[Example], model: str) -> Metrics:
    """The metrics that mean the same on any set of rows; a kind of row that does not occur has none."""
    metrics = {"nll": _mean(example.answer_of(model).nll for example in examples)}
    raw = [example for example in examples if not example.is_asked]
    if raw:
        metrics["perplexity"] = _perplexity(raw, model)
    for name, labelled in (("accuracy", True), ("exact_match", False)):
        rows = [example for example in examples if example.is_asked and (example.label is not None) is labelled]
        if rows:
            metrics[name] = _mean(float(example.answer_of(model).correct) for example in rows)
    return metrics


def _perplexity(examples: Sequence[Example], model: str) -> float:
    """The exponential of the mean NLL of the rows, each counted alike however long it is."""
    mean = math.fsum(example.answer_of(model).nll for example in examples) / len(examples)
    return _round(math.exp(min(mean, _LARGEST_EXPONENT)))


def _slices(examples: Sequence[Example], min_rows: int) -> dict[str, Any]:
    grouped: dict[str, dict[str, list[Example]]] = {}
    for example in examples:
        for name, value in example.slices.items():
            grouped.setdefault(name, {}).setdefault(value, []).append(example)
    return {name: {value: _slice(rows, min_rows) for value, rows in sorted(grouped[name].items())} for name in grouped}


def _slice(rows: Sequence[Example], min_rows: int) -> dict[str, Any]:
    if len(rows) < min_rows:
        return {"rows": len(rows)}
    metrics = {model: _shares(rows, model) for model in MODELS}
    return {"rows": len(rows), **metrics, "delta": _difference(metrics)}


def _difference(metrics: dict[str, Metrics]) -> Metrics:
    base, tuned = (metrics[model] for model in MODELS)
    return {name: _round(tuned[name] - base[name]) for name in base}


def _outcomes(examples: Sequence[Example]) -> dict[str, int]:
    names = [outcome_of(example) for example in examples if example.is_asked]
    return {name: names.count(name) for name in ("fixed", "broken", "right", "wrong")}


def p95_seconds(seconds: Sequence[float]) -> float:
    """The 95th percentile, as reports/timings.json has it."""
    import numpy as np

    return _round(np.percentile(seconds, 95))


def _latency(examples: Sequence[Example], model: str) -> Metrics:
    import numpy as np

    seconds = [example.answer_of(model).seconds for example in examples]
    return {
        "mean_seconds": _mean(seconds),
        "p50_seconds": _round(np.percentile(seconds, 50)),
        "p95_seconds": p95_seconds(seconds),
    }


def _class_of(example: Example, model: str, classes: dict[str, str], ignore_case: bool) -> str:
    answer = example.answer_of(model)
    if answer.correct:
        return example.reference
    name = classes.get(_plain(answer.text, ignore_case), OTHER)
    return OTHER if name == example.reference else name


def _plain(text: str, ignore_case: bool) -> str:
    return text.strip().casefold() if ignore_case else text.strip()


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return _round(math.fsum(numbers) / len(numbers))


def _round(value: float) -> float:
    return round(float(value), 6)
