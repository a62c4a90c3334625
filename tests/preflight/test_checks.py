import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.formats.answers import Answers
from tunegate.params import Params, load_params
from tunegate.preflight.checks import Finding, rows_checked, template_checked, vocabulary_checked

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
GOOD = [Example(str(n), [1, 5, 2], [-100, 5, 2]) for n in range(10)]
NOTES = {"rows_in": 10, "rows_dropped": 0, "rows_cut": 0, "tokens_in": 30, "tokens_dropped": 0, "tokens_cut": 0}
LABELS = {"train": {"roof": 6, "heat": 4}, "valid": {"roof": 1}, "test": {"heat": 1}}


def findings(
    rows: list[Example] = GOOD,
    labels: dict[str, dict[str, int]] = LABELS,
    params: Params = PARAMS,
    tasks: Mapping[str, set[str]] = MappingProxyType({}),
    **notes: Any,
) -> dict[str, Finding]:
    counts = {f"train_{name}": value for name, value in (NOTES | notes).items()}
    return {f.check: f for f in rows_checked(params, {"train": rows, "valid": rows}, counts, labels, tasks)}


def test_good_rows_pass_every_check() -> None:
    assert {finding.status for finding in findings().values()} == {"ok"}
    assert findings()["trained tokens"].result == "20 of 30 tokens are trained on (66.7%)"


def test_rows_without_a_trained_token_are_refused_by_name() -> None:
    finding = findings([*GOOD, Example("silent", [1, 5], [-100, -100])])["rows without a trained token"]
    assert finding.status == "refused"
    assert "silent" in finding.result


def test_nothing_to_train_on_is_refused() -> None:
    assert findings([Example("a", [1], [-100])])["trained tokens"].status == "refused"


def test_a_mask_that_leaves_next_to_nothing_is_worth_a_look() -> None:
    finding = findings([Example("a", [1] * 500, [-100] * 499 + [1])])["trained tokens"]
    assert (finding.status, finding.result) == ("warning", "1 of 500 tokens are trained on (0.2%)")


@pytest.mark.parametrize("lost", [{"rows_dropped": 4}, {"rows_cut": 4}, {"tokens_dropped": 20}])
def test_rows_and_tokens_that_were_lost_are_worth_a_look(lost: dict[str, int]) -> None:
    finding = findings(**lost)["dropped and cut"]
    assert finding.status == "warning"
    assert "tokenize.max_length (it is 256)" in finding.remedy


def test_a_label_of_the_test_that_was_never_trained_on_is_refused() -> None:
    finding = findings(labels=LABELS | {"test": {"heat": 1, "noise": 1}})["labels"]
    assert finding.status == "refused"
    assert finding.result == "2 labels in train; never trained on: noise"


def test_rows_without_labels_have_no_label_set() -> None:
    assert "labels" not in findings(labels={"train": {}, "valid": {}, "test": {}})


def test_answers_in_free_words_are_no_label_set_but_the_classes_of_a_head_always_are() -> None:
    free = {"train": {"call us": 1, "write to us": 1, "it depends": 2}, "valid": {}, "test": {"never": 1}}
    assert "labels" not in findings(labels=free)
    heads = PARAMS.model_copy(update={"train": PARAMS.train.model_copy(update={"technique": "classify"})})
    assert findings(labels=free, params=heads)["labels"].status == "refused"


def test_a_task_that_no_test_row_measures_is_worth_a_look() -> None:
    both = {"routes", "replies"}
    finding = findings(tasks={"train": both, "valid": both, "test": {"routes"}})["tasks"]
    assert (finding.status, finding.result) == ("warning", "2 tasks in train; without a test row: replies")
    assert findings(tasks={"train": both, "valid": both, "test": both})["tasks"].status == "ok"
    assert "tasks" not in findings()


ROWS = [
    {"id": str(n), "messages": None, "text": f"the roof leaks {n}", "label": label, "slices": [], "source": "made"}
    for n, label in enumerate(("roof", "heat", "noise"))
]


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


@pytest.fixture
def examples(tokenizer: Any) -> list[Example]:
    return list(Answers()(Recipe.of(tokenizer), ROWS))


def template_findings(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> dict[str, Finding]:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    findings = [*template_checked(tokenizer, ROWS, examples), vocabulary_checked(tokenizer, model, examples)]
    return {finding.check: finding for finding in findings}


def test_what_was_trained_is_what_is_asked_and_ends_where_generation_stops(
    tiny_model: Path, tokenizer: Any, examples: list[Example]
) -> None:
    finding = template_findings(tiny_model, tokenizer, examples)
    assert set(finding) == {"prompt", "round trip", "stop token", "vocabulary"}
    assert {finding.status for finding in finding.values()} == {"ok"}


def test_a_prompt_of_other_tokens_is_refused(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> None:
    first = examples[0]
    other = dataclasses.replace(first, ids=[9, *first.ids], labels=[-100, *first.labels])
    finding = template_findings(tiny_model, tokenizer, [other, *examples[1:]])["prompt"]
    assert (finding.status, finding.result) == (
        "refused",
        "2 of 3 prompts are the same tokens in training and in serving; not 0",
    )


def test_an_answer_that_never_ends_is_refused(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> None:
    cut = dataclasses.replace(examples[0], ids=examples[0].ids[:-1], labels=examples[0].labels[:-1])
    assert template_findings(tiny_model, tokenizer, [cut, *examples[1:]])["stop token"].status == "refused"


def test_an_answer_that_does_not_come_back_is_worth_a_look(
    tiny_model: Path, tokenizer: Any, examples: list[Example]
) -> None:
    first = examples[0]
    other = dataclasses.replace(first, ids=[*first.ids[: first.prompt], first.ids[-1]])
    finding = template_findings(tiny_model, tokenizer, [other, *examples[1:]])["round trip"]
    assert finding.status == "warning"
    assert "'roof' comes back as ''" in finding.result


def test_a_tokenizer_of_another_model_is_refused(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> None:
    tokenizer.add_tokens([f"<extra {n}>" for n in range(100)])
    assert template_findings(tiny_model, tokenizer, examples)["vocabulary"].status == "refused"
