"""tokenize: rows to token ids and the mask of what is trained on, and each ingested row's outcome, with its tokens.

Reads params.yaml, the prepared splits and the rows that left in `validate` and `prepare`; writes train.parquet,
valid.parquet, row_outcomes.parquet, ledger.json, preview.json and, where rows are augmented, augmented.parquet.
"""

from functools import partial
from pathlib import Path

from tunegate.data.compute.row_cache import reused_rows
from tunegate.data.ledger.row_outcomes import ROW_OUTCOMES, TEXTS, OutcomeCounts, outcomes_of
from tunegate.data.ledger.stage_ledger import combine
from tunegate.files import atomic_folder, write_json
from tunegate.models.augmentation.copies import Augmentation
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.choice import format_of
from tunegate.models.tokens.preview import write_preview
from tunegate.models.tokens.tokenisation import Counting, Counts, Encoding, require_rows, write_examples
from tunegate.params import load_params
from tunegate.tables import parquet_writer

ROW = [*TEXTS, "slices"]


def main(params: str, prepared: str, validated: str, base: str, tokens: str) -> None:
    """Tokenise the rows in the folder `prepared` with the tokenizer of `base`; write them to the folder `tokens`."""
    settings, outcome_counts = load_params(Path(params)), OutcomeCounts()
    tokenizer, layout = load_tokenizer(Path(base)), format_of(settings.train.technique, settings.tokenize)
    recipe = Recipe.of(tokenizer)
    encode = Encoding(recipe, layout, settings.tokenize.max_length, settings.tokenize.over_length)
    # Test rows are read as `evaluate` will read them, which would refuse one only after the training.
    last = format_of(settings.train.technique, settings.tokenize.model_copy(update={"turns": "last"}))
    works = (Counting(recipe, layout), Counting(recipe, last, strict=True), encode)
    counted, tested, encoded = (partial(reused_rows, "tokenize", work, settings.compute, ROW) for work in works)
    augmentation = Augmentation(settings.tokenize, encode, Path(prepared), Path(base))
    counts = {"train": Counts(), "valid": Counts()}
    with atomic_folder(Path(tokens)) as folder:
        copies = {"train": partial(augmentation.batches, ROW, folder)}
        with parquet_writer(folder / "row_outcomes.parquet", ROW_OUTCOMES) as write_outcomes:
            for batch in counted(Path(validated) / "quarantine.parquet", "reasons"):
                write_outcomes(outcome_counts.add(outcomes_of(batch, stage="validate")))
            for batch in counted(Path(prepared) / "dropped.parquet", "reason", "other"):
                write_outcomes(outcome_counts.add(outcomes_of(batch, stage="prepare")))
            for split, count in counts.items():
                rows = encoded(Path(prepared) / f"{split}.parquet")
                for batch in write_examples(folder / f"{split}.parquet", rows, encode, count, copies.get(split)):
                    write_outcomes(outcome_counts.add(outcomes_of(batch, stage="tokenize", split=split)))
                require_rows(count, split, settings.tokenize.max_length)
            for batch in tested(Path(prepared) / "test.parquet"):
                write_outcomes(outcome_counts.add(outcomes_of(batch, stage="tokenize", split="test")))
        notes = {f"{split}_{name}": n for split, count in counts.items() for name, n in count.as_notes().items()}
        more = augmentation.notes() | {"test_rows_held_out": outcome_counts.rows_in("test")}
        write_json(folder / "ledger.json", outcome_counts.ledger(notes | more))
        write_preview(tokenizer, folder)
        combine([Path(validated), Path(prepared), folder])
    print(f"tokenize: {', '.join(f'{split}: {count}' for split, count in counts.items())}")
