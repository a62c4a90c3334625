"""Rows without a label are labelled by the model where it is sure of the whole answer, and trained on.

First the labelled rows alone are learned, then there are `rounds` rounds: all unlabelled rows are labelled anew,
greedily, and those from `confidence` on are learned together with the labelled ones. Writes, beside the adapter,
pseudo_labels.parquet (the labels of the last round) and ledger.json, whose sums close over both kinds of rows.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunegate.data.ledger.stage_ledger import PSEUDO_LABELS_FILE, make_ledger
from tunegate.errors import InputError
from tunegate.files import write_json
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Train
from tunegate.tables import write_parquet
from tunegate.training.batching import collate, grouped, shuffled
from tunegate.training.loss import next_token_loss
from tunegate.training.reference_model import evaluating
from tunegate.training.sampling import Sampler
from tunegate.training.sequence_likelihood import answered, laid_out, log_probs
from tunegate.training.technique import State, Step, Technique

PSEUDO_LABELS = pa.schema([("id", pa.string()), ("answer", pa.string()), ("confidence", pa.float64())])
"""The columns of models/adapter/pseudo_labels.parquet: rows that were trained on with the model's own answer."""

BELOW = "below_confidence"
"""Why an unlabelled row was not trained on in the last round."""

Rows = Sequence[Example]


@dataclasses.dataclass(frozen=True)
class PseudoLabel:
    """The model's answer to one question."""

    id: str
    answer: list[int]
    """Token ids, with the one that ends it."""
    confidence: float
    """Probability of the whole answer: the product of its tokens'."""


def semisupervised(settings: Train, base: Path) -> Technique:
    """What pseudo-labelling gives to the loop; `base` is the folder whose tokenizer turns answers into text."""

    def begin(model: Any, examples: Rows, phase: int) -> State:
        return {"phase": phase, "accepted": _accepted(model, examples, settings) if phase else []}

    def keep(folder: Path, examples: Rows, state: State) -> None:
        _write(folder, examples, state, load_tokenizer(base))

    return Technique(
        collate=collate,
        loss=next_token_loss,
        plan=_plan,
        rows=_usable,
        begin=begin,
        keep=keep,
        phases=1 + settings.semisupervised.rounds,
    )


def _is_labelled(example: Example) -> bool:
    return example.prompt < len(example.ids)


def _usable(train: Rows, valid: Rows) -> tuple[Rows, Rows]:
    """All rows to train on, and the validation rows with a label."""
    measured = [example for example in valid if _is_labelled(example)]
    labelled = sum(map(_is_labelled, train))
    for rows, what in ((labelled, "labelled row to train on"), (len(train) - labelled, "row without a label"),
                       (len(measured), "labelled row in the split valid")):  # fmt: skip
        if not rows:
            remedy = "docs/data.md tells how a source has rows with and without a label"
            raise InputError(f"no {what}: technique semisupervised needs some", place="data/tokens", remedy=remedy)
    return train, measured


def _accepted(model: Any, examples: Rows, settings: Train) -> list[dict[str, Any]]:
    answers = [example.ids[example.prompt :] for example in examples if _is_labelled(example)]
    end, _ = Counter(answer[-1] for answer in answers).most_common(1)[0]
    labels = pseudo_labels(
        model,
        [example for example in examples if not _is_labelled(example)],
        end=end,
        longest=max(map(len, answers)),
        tokens=settings.tokens_per_batch or settings.tokens_per_step,
        device=settings.device,
    )
    return [dataclasses.asdict(label) for label in labels if label.confidence >= settings.semisupervised.confidence]


def pseudo_labels(
    model: Any, prompts: Sequence[Example], *, end: int, longest: int, tokens: int, device: str
) -> list[PseudoLabel]:
    """The greedy answer to each of the prompts, in their order, with its probability; one that is empty, or does not
    end within `longest` tokens, is left out.

    `end` is the token that ends an answer; `tokens` bounds what is answered together.
    """
    answers = Sampler(end, longest, tokens_per_batch=tokens)(model, [example.ids for example in prompts], greedy=True)
    examples = [
        answered(example, answer)
        for example, answer in zip(prompts, answers, strict=True)
        if len(answer) > 1 and answer[-1] == end
    ]
    labels = list[PseudoLabel]()
    with evaluating(model):
        for group in grouped(examples, tokens) if examples else []:
            sequences = laid_out(group).to(device)
            sums = sequences.sums(log_probs(model, sequences.tokens)).tolist()
            labels += [PseudoLabel(e.id, e.ids[e.prompt :], math.exp(log)) for e, log in zip(group, sums, strict=True)]
    return labels


def _plan(examples: Rows, settings: Train, state: State) -> list[Step]:
    labelled = [example for example in examples if _is_labelled(example)]
    prompts = {example.id: example for example in examples if not _is_labelled(example)}
    more = [_with_answer(prompts[label["id"]], label["answer"]) for label in state.get("accepted", ())]
    return shuffled([*labelled, *more], settings, state)


def _with_answer(prompt: Example, answer: list[int]) -> Example:
    ids, labels = prompt.ids + answer, [IGNORED] * len(prompt.ids) + answer
    return dataclasses.replace(prompt, ids=ids, labels=labels)


def _write(folder: Path, examples: Rows, state: State, tokenizer: Any) -> None:
    accepted = {label["id"]: label for label in state["accepted"]}
    rows = [
        {
            "id": name,
            "answer": tokenizer.decode(label["answer"], skip_special_tokens=True).strip(),
            "confidence": label["confidence"],
        }
        for name, label in accepted.items()
    ]
    write_parquet(folder / PSEUDO_LABELS_FILE, pa.Table.from_pylist(rows, schema=PSEUDO_LABELS))
    names = {example.id for example in examples}
    # Without the copies that tokenize.augment made.
    rows_in = [example for example in examples if example.id.rpartition("~")[0] not in names]
    used = [example for example in rows_in if _is_labelled(example) or example.id in accepted]
    left = Counter(_source(e) for e in rows_in if not _is_labelled(e) and e.id not in accepted)
    labelled = sum(map(_is_labelled, rows_in))
    counts = {"labelled": labelled, "unlabelled": len(rows_in) - labelled, "pseudo_labelled": len(used) - labelled}
    ledger = make_ledger(
        "train",
        sources_in=map(_source, rows_in),
        sources_out=map(_source, used),
        dropped={source: {BELOW: count} for source, count in left.items()},
        notes=counts | {"augmented_rows": len(examples) - len(rows_in)},
    )
    write_json(folder / "ledger.json", ledger)


def _source(example: Example) -> str:
    return (example.tasks or {}).get("source", "")
