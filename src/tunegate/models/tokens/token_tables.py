"""data/tokens/<split>.parquet: the examples of the rows that are kept, then those of their augmented copies.

Writes while batches pass by, so that a split of any size takes little memory. Does not know the pipeline's paths.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tunegate.models.tokens.examples import TOKENS
from tunegate.models.tokens.tokenisation import Counts, Encoding
from tunegate.tables import parquet_writer

Copies = Callable[[set[str]], Iterable[Any]]
"""The ids of the rows that were dropped → batches of ENCODED of the others' copies."""


def written(
    path: Path, batches: Iterable[Any], encode: Encoding, count: Counts, copies: Copies | None = None
) -> Iterator[Any]:
    """The batches of ENCODED, unchanged, while their examples are written to `path` and their rows counted.

    `copies` are written after them; they are neither counted nor passed on, for they are no rows that came in.
    """
    dropped = set[str]()
    with parquet_writer(path, TOKENS) as write:
        for batch in batches:
            count.add(batch)
            write(encode.examples(batch))
            if copies is not None:
                dropped.update(batch.filter(batch["reason"].is_valid())["id"].to_pylist())
            yield batch
        for batch in copies(dropped) if copies is not None else ():
            write(encode.examples(batch))
