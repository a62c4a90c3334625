"""tokenize: rows to token ids with an answer-only mask, and the fate of every row that was ingested, with its tokens.

Reads params.yaml, the prepared splits and the rows that left in `validate` and `prepare`; writes train.parquet,
valid.parquet, fates.parquet and ledger.json.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.data.fates import FATES, TEXTS, Tally, fates_of
from tunegate.data.ledger import combine
from tunegate.data.reuse import key_of, reused
from tunegate.files import atomic_folder, write_json
from tunegate.models.chat_tokens import Recipe
from tunegate.models.examples import TOKENS
from tunegate.models.formats.choice import format_of
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokenisation import Counting, Counts, Encoding, require_rows
from tunegate.params import Compute, load_params
from tunegate.tables import parquet_batches, parquet_writer


def main(params: str, prepared: str, validated: str, base: str, tokens: str) -> None:
    """Tokenise the rows in the folder `prepared` with the tokenizer of `base`; write them to the folder `tokens`."""
    settings, tally = load_params(Path(params)), Tally()
    recipe = Recipe.of(load_tokenizer(Path(base)))
    layout = format_of(settings.train.technique)
    encode = Encoding(recipe, layout, settings.tokenize.max_length, settings.tokenize.over_length)
    counted, encoded = (partial(_rows, function, settings.compute) for function in (Counting(recipe), encode))
    counts = {"train": Counts(), "valid": Counts()}
    with atomic_folder(Path(tokens)) as folder:
        with parquet_writer(folder / "fates.parquet", FATES) as write_fates:
            for batch in counted(Path(validated) / "quarantine.parquet", "reasons"):
                write_fates(tally.add(fates_of(batch, stage="validate")))
            for batch in counted(Path(prepared) / "dropped.parquet", "reason", "other"):
                write_fates(tally.add(fates_of(batch, stage="prepare")))
            for split, count in counts.items():
                with parquet_writer(folder / f"{split}.parquet", TOKENS) as write:
                    for batch in encoded(Path(prepared) / f"{split}.parquet"):
                        count.add(batch)
                        write(batch.filter(batch["reason"].is_null()).select(TOKENS.names))
                        write_fates(tally.add(fates_of(batch, stage="tokenize", split=split)))
                require_rows(count, split, settings.tokenize.max_length)
            for batch in counted(Path(prepared) / "test.parquet"):
                write_fates(tally.add(fates_of(batch, stage="tokenize", split="test")))
        notes = {f"{split}_{name}": n for split, count in counts.items() for name, n in count.as_notes().items()}
        write_json(folder / "ledger.json", tally.ledger(notes | {"test_rows_held_out": tally.rows_in("test")}))
        combine([Path(validated), Path(prepared), folder])
    kept, came = (sum(getattr(count, name) for count in counts.values()) for name in ("rows_out", "rows_in"))
    shares = ", ".join(f"{split} {notes[f'{split}_tokens_trained_share']:.0%}" for split in counts)
    print(f"tokenize: {kept} of {came} rows kept, share of trained tokens: {shares}")


def _rows(function: Any, compute: Compute, path: Path, *more: str) -> Iterator[Any]:
    key = key_of(dataclasses.asdict(function))
    return reused(f"tokenize-{path.stem}", key, function, parquet_batches(path, columns=[*TEXTS, *more]), compute)
