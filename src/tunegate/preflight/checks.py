"""Checks of rows, labels and the chat template, without running the model.

Works on what the stages `prepare` and `tokenize` wrote, on a tokenizer and some rows, in memory.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.rows import messages_of
from tunegate.params import Params
from tunegate.text import listed

Row = Mapping[str, Any]
Status = Literal["ok", "warning", "refused", "skipped"]

FEW = 0.01
"""A share of trained tokens below this is worth a look."""
LOST = 0.1
"""A share of rows or tokens that are dropped or cut above this is worth a look."""
_WITHOUT_ANSWERS = ("classify", "reinforce")
"""Techniques that learn from no answer of the row."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of a preflight."""

    check: str
    """What was checked, in two words."""
    status: Status
    result: str
    """What was measured, with numbers."""
    remedy: str = ""
    """What to do; empty where all is well."""


def finding_of(check: str, holds: bool, result: str, remedy: str, *, otherwise: Status = "refused") -> Finding:
    """`ok` where it holds, else `otherwise` with the remedy."""
    return Finding(check, "ok", result) if holds else Finding(check, otherwise, result, remedy)


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
    result = f"{trained:,} of {tokens:,} tokens are trained on ({share:.1%})"
    remedy = "look at the mask below: is the answer where you expect it?"
    yield finding_of("trained tokens", share >= FEW, result, remedy, otherwise="warning" if trained else "refused")
    empty = [row.id for row in rows if row.prompt == len(row.ids)]
    if empty and params.train.technique != "semisupervised":
        result = f"{len(empty):,} rows have no token to train on: {listed(empty, 5)}"
        yield Finding("rows without a trained token", "refused", result, "give them an answer, or take them out")


def _lost(params: Params, notes: Mapping[str, Any]) -> Finding:
    dropped, cut, came = (notes[f"train_{name}"] for name in ("rows_dropped", "rows_cut", "rows_in"))
    tokens = notes["train_tokens_dropped"] + notes["train_tokens_cut"]
    share = max((dropped + cut) / max(1, came), tokens / max(1, notes["train_tokens_in"]))
    result = f"{dropped:,} of {came:,} rows dropped, {cut:,} cut, {tokens:,} tokens lost ({share:.1%})"
    remedy = f"raise tokenize.max_length (it is {params.tokenize.max_length}), or shorten the rows"
    return finding_of("dropped and cut", share <= LOST, result, remedy, otherwise="warning")


def _are_classes(params: Params, rows: Mapping[str, int]) -> bool:
    """Whether these labels are a set to choose from, and not answers in free words, of which hardly one comes twice."""
    return bool(rows) and (params.train.has_head or 2 * len(rows) <= sum(rows.values()))


def _labels(labels: Mapping[str, Mapping[str, int]]) -> Finding:
    unseen = sorted((labels["test"].keys() | labels["valid"].keys()) - labels["train"].keys())
    result = f"{len(labels['train'])} labels in train" + (f"; never trained on: {listed(unseen, 5)}" if unseen else "")
    remedy = "add training rows of these labels, or raise prepare.min_rows_per_label"
    return finding_of("labels", not unseen, result, remedy)


def _tasks(tasks: Mapping[str, set[str]]) -> Finding:
    untested = sorted(tasks["train"] - tasks["test"])
    result = f"{len(tasks['train'])} tasks in train" + (
        f"; without a test row: {listed(untested, 5)}" if untested else ""
    )
    remedy = "give the task more rows, or raise prepare.test_share: nothing will say how good the model is at it"
    return finding_of("tasks", not untested, result, remedy, otherwise="warning")


def template_checked(tokenizer: Any, rows: Sequence[Row], examples: Sequence[Example]) -> Iterator[Finding]:
    """Every check of the template on `rows`, which have answers, and whose examples are `examples`, in their order."""
    yield prompts_checked(tokenizer, rows, [example.ids[: _prompt_length(example)] for example in examples])
    yield _round_trip(tokenizer, rows, examples)
    yield _stop(tokenizer, examples)


def prompts_checked(tokenizer: Any, rows: Sequence[Row], prompts: Sequence[Sequence[int]]) -> Finding:
    """Serving asks with the tokens that training had before the answer."""
    chat = Recipe.of(tokenizer).chat()
    pairs = zip(rows, prompts, strict=True)
    other = [row["id"] for row, prompt in pairs if chat.prompt_ids(messages_of(row)[:-1]) != list(prompt)]
    result = f"{len(rows) - len(other)} of {len(rows)} prompts are the same tokens in training and in serving"
    return finding_of("prompt", not other, result + (f"; not {other[0]}" if other else ""), "report it with the row")


def vocabulary_checked(tokenizer: Any, model: Any, examples: Sequence[Example]) -> Finding:
    """Every token has an embedding."""
    largest = max(max(example.ids) for example in examples)
    rows = model.get_input_embeddings().num_embeddings
    result = f"the tokenizer has {len(tokenizer):,} tokens, the model {rows:,} embeddings"
    return finding_of(
        "vocabulary", largest < rows and len(tokenizer) <= rows, result, "this tokenizer is another model's"
    )


def _prompt_length(example: Example) -> int:
    """How many tokens come before the last answer: the last run of tokens that are trained on."""
    last = len(example.labels)
    while last and example.labels[last - 1] == IGNORED:
        last -= 1
    while last and example.labels[last - 1] != IGNORED:
        last -= 1
    return last


def _round_trip(tokenizer: Any, rows: Sequence[Row], examples: Sequence[Example]) -> Finding:
    other = []
    for row, example in zip(rows, examples, strict=True):
        answer = messages_of(row)[-1]["content"].strip()
        decoded = tokenizer.decode(example.ids[_prompt_length(example) :], skip_special_tokens=True).strip()
        if decoded != answer:
            other.append(f"{example.id}: {answer[:40]!r} comes back as {decoded[:40]!r}")
    result = f"{len(rows) - len(other)} of {len(rows)} answers come back from their tokens as they were"
    remedy = "a tokenizer that changes text cannot teach the model to write it; an answer that was cut is shorter"
    return finding_of("round trip", not other, result + (f"; {other[0]}" if other else ""), remedy, otherwise="warning")


def _stop(tokenizer: Any, examples: Sequence[Example]) -> Finding:
    stop = tokenizer.eos_token_id
    ends = sum(example.ids[-1] == stop for example in examples)
    name, pad = tokenizer.eos_token, tokenizer.pad_token_id
    also = f"; padding is {tokenizer.pad_token!r}" + (", the same token, and is never trained on" * (pad == stop))
    result = f"{ends} of {len(examples)} answers end with {name!r}, where generation stops{also}"
    remedy = "set eos_token of the entry in models/catalog.yaml, or raise tokenize.max_length: cut answers never end"
    return finding_of("stop token", ends == len(examples), result, remedy)
