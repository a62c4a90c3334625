"""Augmented copies of training rows, as `tokenize.augment` declares, each with its parent recorded.

Copies are made of kept rows of the training split alone, and only the question of a copy differs. Its text depends on
its row's id and text and on nothing else. A copy with the question of its parent or of any other row, in any split, is
dropped and counted. Reads the prepared splits; writes augmented.parquet.
"""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunegate.models.augmentation.perturbations import CHANGES, filled, generator, in_template
from tunegate.models.folders import TRANSLATOR
from tunegate.models.generation import generated
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.tokenisation import OVER_LENGTH, Encoding
from tunegate.params import Augment, Tokenize
from tunegate.tables import parquet_batches, parquet_writer

FILE = "augmented.parquet"
AUGMENTED = pa.schema([(name, pa.string()) for name in ("id", "parent", "kind", "text")])
"""The columns of data/tokens/augmented.parquet: a copy, the row it was made of, by which kind, and its question."""

EQUAL = "equal"
"""Why a copy is dropped: some row has the same question."""

_SPLITS = ("train", "valid", "test")
_ROWS = 512
_MOST_GROWTH = 2
"""Longest translation, as a multiple of the prompt's tokens."""

Row = dict[str, Any]


class Augmentation:
    """The copies of one run of stage `tokenize`. `base` is where the translator's folder is."""

    def __init__(self, settings: Tokenize, encode: Encoding, prepared: Path, base: Path) -> None:
        self._kinds = settings.augment
        self._encode = encode
        self._prepared = prepared
        self._translator = Translator(base / TRANSLATOR)
        self._counts = Counter[str]()

    def batches(self, columns: list[str], folder: Path, dropped: Container[str]) -> Iterator[Any]:
        """The copies as batches of ENCODED; each is also a line of FILE in `folder`, but for the over-long ones.

        `dropped` are the rows of which none is made; `columns` of a prepared row are those that encoding reads.
        """
        if not self._kinds:
            return
        questions = {_key(row) for split in _SPLITS for row in self._rows(split, columns)}
        with parquet_writer(folder / FILE, AUGMENTED) as write:
            for batch in parquet_batches(self._prepared / "train.parquet", columns=columns, rows=_ROWS):
                parents = [row for row in batch.to_pylist() if row["id"] not in dropped]
                copies = [pair for row in parents for pair in self._copies(row, questions)]
                rows = pa.RecordBatch.from_pylist([copy for copy, _ in copies], schema=batch.schema)
                encoded = self._encode(rows)
                lines = [line for (_, line), why in zip(copies, encoded["reason"].to_pylist(), strict=True) if not why]
                write(pa.RecordBatch.from_pylist(lines, schema=AUGMENTED))
                self._count(encoded, lines)
                yield encoded

    def notes(self) -> dict[str, int]:
        """Copies by kind and those that were dropped, for the stage's ledger; empty without augmentation."""
        return {f"augmented_{name}": count for name, count in sorted(self._counts.items())}

    def _rows(self, split: str, columns: list[str]) -> Iterator[Row]:
        for batch in parquet_batches(self._prepared / f"{split}.parquet", columns=columns):
            yield from batch.to_pylist()

    def _copies(self, row: Row, questions: set[bytes]) -> Iterator[tuple[Row, Row]]:
        numbers = Counter[str]()
        for augment in self._kinds:
            for _ in range(augment.copies):
                numbers[augment.kind] += 1
                copy = _with_question(row, self._changed(row, augment, numbers[augment.kind]))
                copy["id"] = f"{row['id']}~{augment.kind}-{numbers[augment.kind]}"
                key = _key(copy)
                if key in questions:
                    self._counts[f"dropped_{EQUAL}"] += 1
                    continue
                questions.add(key)
                yield copy, {"id": copy["id"], "parent": row["id"], "kind": augment.kind, "text": _question(copy)}

    def _changed(self, row: Row, augment: Augment, number: int) -> str:
        text, random = _question(row), generator(row["id"], augment.kind, str(number))
        match augment.kind:
            case "template":
                # One order of the templates per row, so that its copies differ.
                return in_template(text, augment.templates, number, generator(row["id"], augment.kind))
            case "back_translation":
                return self._translator.back_translated(text, augment.templates) or text
            case kind:
                return CHANGES[kind](text, augment.rate, random)

    def _count(self, encoded: Any, lines: list[Row]) -> None:
        self._counts["rows"] += len(lines)
        self._counts.update(line["kind"] for line in lines)
        self._counts[f"dropped_{OVER_LENGTH}"] += encoded.num_rows - len(lines)
        kept = encoded.filter(encoded["reason"].is_null())
        for name in ("tokens", "trained"):
            self._counts[f"tokens_{name}" if name == "trained" else name] += sum(kept[name].to_pylist())


class Translator:
    """Back-translation: the language model in a folder, asked by two prompts and answering greedily.

    Texts are translated one by one: in a batch, the lengths of others would decide the last bits of a probability, and
    so now and then a word.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def back_translated(self, text: str, prompts: Sequence[str]) -> str:
        """The text after both prompts; empty where the model answers nothing."""
        for prompt in prompts:
            if text:
                text = self._answer(filled(prompt, text))
        return text

    def _answer(self, question: str) -> str:
        import torch

        model, tokenizer = self._loaded
        ids = Recipe.of(tokenizer).chat().prompt_ids([{"role": "user", "content": question}])
        with torch.inference_mode():
            (answer,) = generated(model, [ids], end=tokenizer.eos_token_id, longest=_MOST_GROWTH * len(ids))
        return str(tokenizer.decode(answer, skip_special_tokens=True)).strip()

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from tunegate.models.loading import load_base, load_tokenizer

        return load_base(self._folder, device="cpu", precision="fp32"), load_tokenizer(self._folder)


def _question(row: Mapping[str, Any]) -> str:
    """The text, or what the user says last: what a copy paraphrases."""
    if not row["messages"]:
        return str(row["text"])
    return next((str(m["content"]) for m in reversed(row["messages"]) if m["role"] == "user"), "")


def _with_question(row: Row, text: str) -> Row:
    if not row["messages"]:
        return row | {"text": text}
    last = max((at for at, m in enumerate(row["messages"]) if m["role"] == "user"), default=-1)
    messages = [dict(m) | {"content": text} if at == last else dict(m) for at, m in enumerate(row["messages"])]
    return row | {"messages": messages}


def _key(row: Mapping[str, Any]) -> bytes:
    question = row["text"] if not row["messages"] else json.dumps(row["messages"][:-1], sort_keys=True)
    return hashlib.blake2b(" ".join(str(question).split()).casefold().encode(), digest_size=12).digest()
