"""tokenize: rows to token ids with an answer-only mask, and a ledger of every dropped or cut token."""

import dataclasses
from pathlib import Path

import pyarrow as pa

from tunegate.data.ledger import make_ledger
from tunegate.errors import InputError
from tunegate.files import atomic_folder, write_json
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokenisation import TOKENS, encode_all
from tunegate.params import load_params
from tunegate.tables import read_parquet, write_parquet

SPLITS = ("train", "valid")


def main(params: str, prepared: str, base: str, tokens: str) -> None:
    """Write train.parquet, valid.parquet and ledger.json."""
    settings = load_params(Path(params)).tokenize
    tokenizer = load_tokenizer(Path(base))
    rows = {split: read_parquet(Path(prepared) / f"{split}.parquet").to_pylist() for split in SPLITS}
    held_out = read_parquet(Path(prepared) / "test.parquet")["source"].to_pylist()
    sources = {row["id"]: row["source"] for split in SPLITS for row in rows[split]}
    kept: list[str] = []
    notes: dict[str, int | float] = {}
    dropped = 0
    with atomic_folder(Path(tokens)) as folder:
        for split in SPLITS:
            examples, counts = encode_all(
                tokenizer, rows[split], max_length=settings.max_length, over_length=settings.over_length
            )
            if not examples:
                problem = f"no example of the split {split} fits into {settings.max_length} tokens"
                remedy = "raise tokenize.max_length, or set tokenize.over_length to truncate"
                raise InputError(problem, place=f"{params}: tokenize", remedy=remedy)
            table = pa.Table.from_pylist([dataclasses.asdict(example) for example in examples], schema=TOKENS)
            write_parquet(folder / f"{split}.parquet", table)
            kept += [example.id for example in examples]
            dropped += counts.rows_dropped
            notes |= {f"{split}_{name}": value for name, value in counts.as_notes().items()}
        ledger = make_ledger(
            "tokenize",
            sources_in=[*sources.values(), *held_out],
            sources_out=[*(sources[id_] for id_ in kept), *held_out],
            reasons={"over_length": dropped},
            notes=notes | {"test_rows_held_out": len(held_out)},
        )
        write_json(folder / "ledger.json", ledger)
    shares = ", ".join(f"{split} {notes[f'{split}_tokens_trained_share']:.0%}" for split in SPLITS)
    print(f"tokenize: {len(kept)} of {len(sources)} rows kept, share of trained tokens: {shares}")
