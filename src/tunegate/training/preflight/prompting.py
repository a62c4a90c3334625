"""Checks of the chat template: what was trained on is what will be asked, and an answer ends where generation stops.

Works on a tokenizer and some rows, in memory; knows no weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.models.chat_tokens import Recipe
from tunegate.models.examples import Example
from tunegate.models.template import messages_of
from tunegate.training.preflight.findings import Finding, judged

Row = Mapping[str, Any]


def template_checked(tokenizer: Any, model: Any, rows: Sequence[Row], examples: Sequence[Example]) -> Iterator[Finding]:
    """Every check of the template on `rows`, whose examples are `examples`, in the same order."""
    yield _prompts(tokenizer, rows, examples)
    yield _round_trip(tokenizer, rows, examples)
    yield _stop(tokenizer, model, examples)
    yield _vocabulary(tokenizer, model, examples)


def _prompts(tokenizer: Any, rows: Sequence[Row], examples: Sequence[Example]) -> Finding:
    """Serving asks with these tokens; training put the answer after those."""
    chat = Recipe.of(tokenizer).chat()
    pairs = zip(rows, examples, strict=True)
    other = [e.id for row, e in pairs if chat.prompt_ids(messages_of(row)[:-1]) != e.ids[: e.prompt]]
    found = f"{len(rows) - len(other)} of {len(rows)} prompts are the same tokens in training and in serving"
    return judged("prompt", not other, found + (f"; not {other[0]}" if other else ""), "report it with the row")


def _round_trip(tokenizer: Any, rows: Sequence[Row], examples: Sequence[Example]) -> Finding:
    other = []
    for row, example in zip(rows, examples, strict=True):
        said = messages_of(row)[-1]["content"].strip()
        decoded = tokenizer.decode(example.ids[example.prompt :], skip_special_tokens=True).strip()
        if decoded != said:
            other.append(f"{example.id}: {said[:40]!r} comes back as {decoded[:40]!r}")
    found = f"{len(rows) - len(other)} of {len(rows)} answers come back from their tokens as they were"
    remedy = "a tokenizer that changes text cannot teach the model to write it; an answer that was cut is shorter"
    return judged("round trip", not other, found + (f"; {other[0]}" if other else ""), remedy, otherwise="warning")


def _stop(tokenizer: Any, model: Any, examples: Sequence[Example]) -> Finding:
    stop = tokenizer.eos_token_id
    ends = sum(example.ids[-1] == stop for example in examples)
    name, pad = tokenizer.eos_token, tokenizer.pad_token_id
    also = f"; padding is {tokenizer.pad_token!r}" + (", the same token, and is never trained on" * (pad == stop))
    found = f"{ends} of {len(examples)} answers end with {name!r}, where generation stops{also}"
    remedy = "set eos_token of the entry in models/catalog.yaml, or raise tokenize.max_length: cut answers never end"
    known = stop is not None and stop < model.get_input_embeddings().num_embeddings
    return judged("stop token", known and ends == len(examples), found, remedy)


def _vocabulary(tokenizer: Any, model: Any, examples: Sequence[Example]) -> Finding:
    largest = max(max(example.ids) for example in examples)
    rows = model.get_input_embeddings().num_embeddings
    found = f"tokenizer knows {len(tokenizer):,} tokens, the model has {rows:,} embeddings"
    return judged("vocabulary", largest < rows and len(tokenizer) <= rows, found, "this tokenizer is another model's")
