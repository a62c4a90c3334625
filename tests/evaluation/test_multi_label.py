import numpy as np
import pytest
from sklearn.metrics import f1_score

from tunegate.evaluation.examples import Answer, Example
from tunegate.evaluation.multi_label import label_f1

PAIRS = [("heat;roof", "roof"), ("roof", "roof;noise"), ("", "noise"), ("heat", "heat"), ("noise", "")]
NAMES = ["heat", "noise", "roof"]


def examples(pairs: list[tuple[str, str]]) -> list[Example]:
    answers = [Answer(text, correct=False, nll=1.0, seconds=0.1) for _, text in pairs]
    return [
        Example(str(n), "q", reference, reference, {}, answer, answer)
        for n, ((reference, _), answer) in enumerate(zip(pairs, answers, strict=True))
    ]


def matrix(texts: list[str]) -> np.ndarray:
    return np.array([[name in text.split(";") for name in NAMES] for text in texts])


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_f1_of_labels_is_sklearn_s(average: str) -> None:
    references, answers = zip(*PAIRS, strict=True)
    expected = f1_score(matrix(list(references)), matrix(list(answers)), average=average, zero_division=0)
    assert label_f1(examples(PAIRS), "tuned", ";")[f"label_{average}_f1"] == pytest.approx(expected, abs=1e-6)


def test_rows_without_any_label_have_an_f1_of_zero() -> None:
    assert label_f1(examples([("", "")]), "tuned", ";") == {"label_micro_f1": 0.0, "label_macro_f1": 0.0}
