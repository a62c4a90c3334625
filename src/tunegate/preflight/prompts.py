"""Checks of the chat template: what was trained on is what will be asked, and an answer ends where generation stops.

Works on a tokenizer and some rows, in memory; asks a model for its vocabulary only.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.template import messages_of
from tunegate.preflight.findings import Finding, judged

Row = Mapping[str, Any]


def template_checked(tokenizer: Any, rows: Sequence[Row], examples: Sequence[Example]) -> Iterator[Finding]:
    """Every check of the template on `rows`, which have answers, and whose examples are `examples`, in their order."""
    yield prompts_checked(tokenizer, rows, [example.ids[: _asked(example)] for example in examples])
    yield _round_trip(tokenizer, rows, examples)
    yield _stop(tokenizer, examples)


def prompts_checked(tokenizer: Any, rows: Sequence[Row], prompts: Sequence[Sequence[int]]) -> Finding:
    """Serving asks with the tokens that training had before the answer."""
    chat = Recipe.of(tokenizer).chat()
    pairs = zip(rows, prompts, strict=True)
    other = [row["id"] for row, prompt in pairs if chat.prompt_ids(messages_of(row)[:-1]) != list(prompt)]
    found = f"{len(rows) - len(other)} of {len(rows)} prompts are the same tokens in training and in serving"
    return judged("prompt", not other, found + (f"; not {other[0]}" if other else ""), "report it with the row")


def vocabulary_checked(tokenizer: Any, model: Any, examples: Sequence[Example]) -> Finding:
    """Every token has an embedding."""
    largest = max(max(example.ids) for example in examples)
    rows = model.get_input_embeddings().num_embeddings
    found = f"tokenizer knows {len(tokenizer):,} tokens, the model has {rows:,} embeddings"
    return judged("vocabulary", largest < rows and len(tokenizer) <= rows, found, "this tokenizer is another model's")


def _asked(example: Example) -> int:
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
        said = messages_of(row)[-1]["content"].strip()
        decoded = tokenizer.decode(example.ids[_asked(example) :], skip_special_tokens=True).strip()
        if decoded != said:
            other.append(f"{example.id}: {said[:40]!r} comes back as {decoded[:40]!r}")
    found = f"{len(rows) - len(other)} of {len(rows)} answers come back from their tokens as they were"
    remedy = "a tokenizer that changes text cannot teach the model to write it; an answer that was cut is shorter"
    return judged("round trip", not other, found + (f"; {other[0]}" if other else ""), remedy, otherwise="warning")


def _stop(tokenizer: Any, examples: Sequence[Example]) -> Finding:
    stop = tokenizer.eos_token_id
    ends = sum(example.ids[-1] == stop for example in examples)
    name, pad = tokenizer.eos_token, tokenizer.pad_token_id
    also = f"; padding is {tokenizer.pad_token!r}" + (", the same token, and is never trained on" * (pad == stop))
    found = f"{ends} of {len(examples)} answers end with {name!r}, where generation stops{also}"
    remedy = "set eos_token of the entry in models/catalog.yaml, or raise tokenize.max_length: cut answers never end"
    return judged("stop token", ends == len(examples), found, remedy)
