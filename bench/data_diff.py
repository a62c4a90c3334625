"""How much time and memory `tunegate data diff` takes on two synthetic tables with known changes.

Writes the locked outputs that a diff reads, with ROWS rows of some 200 characters: the head adds 1 % of them, removes
0.5 %, edits 0.5 %, leaves 100 out as leaks and as many as duplicates. Checks that exactly these are found.

    python bench/data_diff.py --rows 100000
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tunegate.data.diff.compare import compare
from tunegate.data.diff.sides import PREPARED, Side
from tunegate.data.rows import PLACED_ROW, ROW

PLANTED = 100
WORDS = 20_000
PER_ROW = 30
DROPPED = PLACED_ROW.append(pa.field("reason", pa.string())).append(pa.field("other", pa.string()))
DROPPED = DROPPED.append(pa.field("similarity", pa.float64()))
PART = 50_000


def texts(first: int, count: int, seed: int) -> list[str]:
    """Texts of words whose frequencies fall as in a language (Zipf)."""
    rng = np.random.default_rng([seed, first])
    share = 1 / np.arange(1, WORDS + 1)
    words = rng.choice(WORDS, size=(count, PER_ROW), p=share / share.sum())
    return [" ".join(f"w{number:x}" for number in row) for row in words.tolist()]


def table(ids: np.ndarray, edited: set[int]) -> pa.Table:
    """Rows of these ids; the text of an edited one has another ending."""
    first = int(ids[0])
    made = texts(first, len(ids), 7)
    rows = [f"{text} edited" if number in edited else text for number, text in zip(ids.tolist(), made, strict=True)]
    columns = {
        "id": [f"row-{number:08d}" for number in ids.tolist()],
        "group": [f"pair-{number // 2:08d}" for number in ids.tolist()],
        "messages": None,
        "text": rows,
        "label": [f"desk {number % 37}" for number in ids.tolist()],
        "slices": [[("language", "en" if number % 2 else "sv")] for number in ids.tolist()],
        "source": ["made" if number % 3 else "bought" for number in ids.tolist()],
    }
    arrays = [pa.nulls(len(ids), f.type) if columns[f.name] is None else pa.array(columns[f.name], f.type) for f in ROW]
    return pa.Table.from_arrays(arrays, schema=ROW)


def write(folder: Path, ids: np.ndarray, edited: set[int], planted: int) -> Side:
    """The output of `prepare` with these rows: one in ten to test, one in ten to valid."""
    folder.mkdir(parents=True)
    names = ("test", "valid", "train")
    writers = {name: pq.ParquetWriter(folder / f"{name}.parquet", ROW, compression="zstd") for name in names}
    for start in range(0, int(ids[-1]) + 1, PART):
        part = np.arange(start, min(start + PART, int(ids[-1]) + 1))
        whole = table(part, edited)
        kept = np.isin(part, ids)
        split = (part // 2) % 10
        for name, chosen in (("test", split == 0), ("valid", split == 1), ("train", split > 1)):
            writers[name].write_table(whole.filter(pa.array(kept & chosen)))
    for writer in writers.values():
        writer.close()
    rows = [
        {"id": f"{kind}-{n}", "group": "g", "messages": None, "text": "t", "label": "l", "slices": [], "source": "made",
         "place": "p", "reason": kind, "other": f"row-{n:08d}", "similarity": 1.0}
        for kind in ("duplicate", "question_also_in_test") for n in range(planted)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=DROPPED), folder / "dropped.parquet")
    return Side(folder.parent.name, {PREPARED: folder}, {PREPARED: folder.parent.name}, {}, {})


def main() -> None:
    """Write the tables, compare them, print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        added, removed, edited = rows // 100, rows // 200, set(range(rows // 4, rows // 4 + rows // 200))
        before = write(folder / "base/prepared", np.arange(rows), set(), 0)
        after = write(folder / "head/prepared", np.arange(removed, rows + added), edited, PLANTED)
        baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, worked = time.perf_counter(), time.process_time()
        diff = compare(before, after, folder / "work")
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
    assert [diff.total(what) for what in ("added", "removed", "edited")] == [added, removed, len(edited)]
    assert (diff.duplicates.count, diff.leaks_left_out.count) == (PLANTED, PLANTED)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = {"seconds": round(seconds, 1), "cpu_seconds": round(worked, 1)}
    print(json.dumps({"rows": rows, **times, "peak_mb": peak // 1024, "baseline_mb": baseline // 1024}))


if __name__ == "__main__":
    main()
