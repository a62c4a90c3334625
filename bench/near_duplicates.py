"""Near-duplicate search beside datasketch: rows a second and recall, in one run, on pairs planted in the same way.

Makes rows of 33 words; one in eleven is a copy of the row before, with so many words changed that the two have just
the similarity that is looked for, or little more. Ours goes from texts to verified pairs, datasketch's from texts to
candidates of its LSH, which it does not verify. Both have run before, on few rows: what is loaded once is not measured.
Recall is the share of the planted pairs at or above the threshold that were found. Prints a table, and writes
the numbers as JSON. Reads nothing; the seed fixes every row.

Example: python bench/near_duplicates.py --rows 100000 --output near_duplicates.json
"""

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from datasketch import MinHash, MinHashLSH

from tunegate.data.compute.database import add, connect
from tunegate.data.similarity.near_duplicates import pairs_within
from tunegate.data.similarity.shingles import plan_for, sketched
from tunegate.files import write_json
from tunegate.tables import BATCH_ROWS

WORDS = 33
VOCABULARY = 30_000
PERMUTATIONS = 128
"""datasketch's default."""

Pairs = set[tuple[int, int]]


class Measured(NamedTuple):
    name: str
    rows: int
    seconds: float
    recall: float

    @property
    def speed(self) -> float:
        return self.rows / self.seconds


def planted(rows: int, threshold: float, seed: int) -> tuple[list[str], Pairs]:
    """Texts, and the pairs among them of at least the threshold's similarity, and of little more."""
    chance = random.Random(seed)  # noqa: S311 - planted, not secret
    words = [f"{chance.getrandbits(24):x}" for _ in range(VOCABULARY)]
    texts: list[str] = []
    pairs: Pairs = set()
    # Words at the end: of 31 runs, k changed words change k; k/(31 + k) of all runs are not shared twice over.
    runs = WORDS - 2
    changed = int(runs * (1 - threshold) / (1 + threshold))
    while len(texts) < rows:
        said = chance.choices(words, k=WORDS)
        texts.append(" ".join(said))
        if len(texts) % 10 == 1 and len(texts) < rows:
            texts.append(" ".join([*said[: WORDS - changed], *chance.choices(words, k=changed)]))
            if similarity(texts[-2], texts[-1]) >= threshold:
                pairs.add((len(texts) - 2, len(texts) - 1))
    return texts, pairs


def shingles(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[start : start + 3]) for start in range(len(words) - 2)}


def similarity(one: str, other: str) -> float:
    ours, theirs = shingles(one), shingles(other)
    return round(len(ours & theirs) / len(ours | theirs), 6)


def ours(texts: list[str], threshold: float, memory: int) -> tuple[float, Pairs]:
    """Seconds from texts to verified pairs, and those."""
    start = time.perf_counter()
    plan = plan_for(threshold)
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder), memory) as connection:
        for first in range(0, len(texts), BATCH_ROWS):
            part = texts[first : first + BATCH_ROWS]
            sketches = sketched(part, plan)
            numbers = pa.array(np.arange(first, first + len(part)))
            alike = pa.array(np.zeros(len(part), dtype=np.int8))
            columns = [numbers, alike, *sketches.columns]
            add(connection, "t", pa.RecordBatch.from_arrays(columns, names=["n", "alike", *sketches.schema.names]))
        pairs_within(connection, "t", "pairs", plan, threshold)
        found = connection.execute("SELECT earlier, later FROM pairs").fetchall()
        return time.perf_counter() - start, set(found)


def theirs(texts: list[str], threshold: float) -> tuple[float, Pairs]:
    """The same of datasketch, with the same shingles."""
    start = time.perf_counter()
    lsh = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    found: Pairs = set()
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([run.encode() for run in shingles(text)])
        found |= {(other, number) for other in lsh.query(sketch)}
        lsh.insert(number, sketch, check_duplication=False)
    return time.perf_counter() - start, found


def table(measured: list[Measured]) -> str:
    lines = ["| | rows | seconds | rows a second | recall |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {m.name} | {m.rows:,} | {m.seconds:.1f} | {m.speed:,.0f} | {m.recall:.4f} |" for m in measured]
    return "\n".join([*lines, "", f"{measured[0].speed / measured[1].speed:.1f} times as many rows a second."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--datasketch-rows", type=int, default=10_000, help="it is slow, and linear: fewer will do")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--memory", type=int, default=2**30, help="bytes of the work database")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path, help="write the numbers to this file, as JSON")
    given = parser.parse_args()
    measured = []
    few, _ = planted(1_000, given.threshold, given.seed)
    ours(few, given.threshold, given.memory)
    theirs(few, given.threshold)
    for name, rows in (("tunegate", given.rows), ("datasketch", given.datasketch_rows)):
        texts, pairs = planted(rows, given.threshold, given.seed)
        if name == "tunegate":
            seconds, found = ours(texts, given.threshold, given.memory)
        else:
            seconds, found = theirs(texts, given.threshold)
        measured.append(Measured(name, rows, seconds, len(pairs & found) / len(pairs)))
    print(table(measured))
    if given.output:
        numbers: dict[str, Any] = {m.name: m._asdict() | {"rows_per_second": m.speed} for m in measured}
        write_json(given.output, numbers | {"threshold": given.threshold, "seed": given.seed})


if __name__ == "__main__":
    main()
