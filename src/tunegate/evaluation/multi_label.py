"""Metrics of rows with several labels, in which every label of every row counts for itself.

Accuracy asks for all labels of a row and no others; F1 here also credits a part of them. Pure functions over plain
values: no file is read here.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from tunegate.evaluation.examples import Example
from tunegate.models.labels import split


def label_f1(examples: Sequence[Example], model: str, separator: str) -> dict[str, float]:
    """F1 over all labels together (micro), and its mean over the labels that the references have (macro).

    A label that was neither asked for nor given counts nowhere; without any, both are 0.
    """
    right, given, asked = Counter[str](), Counter[str](), Counter[str]()
    for example in examples:
        reference, answer = (set(split(text, separator)) for text in (example.reference, example.answer_of(model).text))
        right.update(reference & answer)
        given.update(answer)
        asked.update(reference)
    scores = [_f1(right[name], given[name], asked[name]) for name in sorted(asked)]
    micro = _f1(right.total(), given.total(), asked.total())
    return {"label_micro_f1": round(micro, 6), "label_macro_f1": round(_mean(scores), 6)}


def _f1(right: int, given: int, asked: int) -> float:
    return 2 * right / (given + asked) if given + asked else 0.0


def _mean(values: Iterable[float]) -> float:
    held = list(values)
    return math.fsum(held) / len(held) if held else 0.0
