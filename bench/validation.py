"""What checking rows costs, next to Great Expectations alone: the same suite, the same rows, each in a fresh process.

Alone, Great Expectations reads a Parquet file that already has the columns to be checked, and names failing rows by
number; tunegate makes these columns from canonical rows, finds failing rows, counts them by source, names them, and
writes rows and quarantine. The time to import Great Expectations is in neither. Each runs twice, the faster run counts;
processor seconds are what to compare on a machine that others use, too.

Example: python bench/validation.py --rows 200000
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WORDS = (
    "roof",
    "leaks",
    "värmepump",
    "kitchen",
    "above",
    "the",
    "no",
    "warm",
    "water",
    "again",
    "what",
    "costs",
    "please",
)
DESKS = 39
BATCH = 50_000
MORE = [
    ("expect_column_values_to_be_in_set", {"column": "label", "value_set": [f"desk {n}" for n in range(DESKS)]}),
    ("expect_column_values_to_not_be_null", {"column": "slices.language"}),
    ("expect_column_values_to_not_match_regex", {"column": "text", "regex": r"[\w.+-]+@[\w-]+\.\w+"}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_table_row_count_to_be_between", {"min_value": 1}),
]
"""What is asked beside the default project's suite: ten expectations in all."""


def write_rows(path: Path, rows: int) -> None:
    """Questions of some 200 characters, in two languages, of two sources; one in 500 says nothing."""
    import pyarrow as pa

    from tunegate.data.rows import PLACED_ROW
    from tunegate.tables import parquet_writer

    rng = np.random.default_rng(7)
    with parquet_writer(path, PLACED_ROW) as write:
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            numbers = range(start, start + count)
            texts = [" ".join(WORDS[w] for w in line) for line in rng.integers(0, len(WORDS), (count, 34))]
            texts[::500] = ["??"] * len(texts[::500])
            columns = {
                "id": [f"r{n:08d}" for n in numbers],
                "group": [f"r{n:08d}" for n in numbers],
                "messages": pa.nulls(count, PLACED_ROW.field("messages").type),
                "text": texts,
                "label": [f"desk {n % DESKS}" for n in numbers],
                "slices": pa.array([[("language", "en" if n % 2 else "sv")] for n in numbers], PLACED_ROW.types[5]),
                "source": ["mail" if n % 3 else "faq" for n in numbers],
                "place": [f"data/raw/f.csv:{n + 2}" for n in numbers],
            }
            write(pa.table(columns))


def suite() -> Any:
    from tunegate.data.checks.suites import Suite, load_suite

    found = load_suite(ROOT / "data/expectations", "questions")
    more = [{"type": kind, "kwargs": kwargs, "severity": "info"} for kind, kwargs in MORE]
    return Suite.model_validate({"name": "bench", "expectations": [*found.model_dump()["expectations"], *more]})


def alone(folder: Path) -> dict[str, Any]:
    """Great Expectations over a flat table; how many rows fail each expectation."""
    import pandas

    from tunegate.data.checks.engine import make_expectations

    made = make_expectations(suite(), "bench", ROOT / "models/templates")
    import great_expectations as gx

    started = _clocks()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all")
    frame = pandas.read_parquet(folder / "flat.parquet")
    options = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
    done = batch.get_batch({"dataframe": frame}).validate(
        gx.ExpectationSuite(name="bench", expectations=made), result_format=options
    )
    failed = {
        r.expectation_config.meta["index"]: len(r.result.get("unexpected_index_list") or ()) for r in done.results
    }
    return _report(started, failed)


def tunegate(folder: Path) -> dict[str, Any]:
    """The stage `validate`; how many rows fail each expectation."""
    from tunegate.data.checks.engine import make_expectations
    from tunegate.data.checks.suite_runner import run_suite
    from tunegate.data.checks.validation import decide, part_rows

    checks, templates, rows = suite(), ROOT / "models/templates", folder / "rows.parquet"
    make_expectations(checks, "bench", templates)
    started = _clocks()
    checked = run_suite(checks, rows, "bench", templates=templates, memory=2**30)
    to_check = _clocks()[1] - started[1]
    validation = decide("bench", checked.rows, checked.outcomes, max_quarantined_share=1)
    part_rows(rows, validation, folder / "passed.parquet", folder / "quarantine.parquet")
    failed = {index: len(outcome.failing) for index, outcome in enumerate(checked.outcomes)}
    return _report(started, failed) | {"cpu_seconds_to_check": to_check}


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _report(started: tuple[float, float], failed: dict[int, int]) -> dict[str, Any]:
    seconds, processor = (now - then for now, then in zip(_clocks(), started, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "cpu_seconds": processor,
        "peak_mb": peak,
        "failed": [failed[index] for index in sorted(failed)],
    }


def write_flat(folder: Path) -> None:
    """The checked columns as a file of their own, for Great Expectations alone."""
    import pyarrow

    from tunegate.data.checks.columns import chunks, column_names
    from tunegate.tables import write_parquet

    rows = folder / "rows.parquet"
    parts = [pyarrow.table(chunk.columns) for chunk in chunks(rows, column_names(rows))]
    write_parquet(folder / "flat.parquet", pyarrow.concat_tables(parts))


def main() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_rows(folder / "rows.parquet", given.rows)
        with processes.Pool(1, maxtasksperchild=1) as pool:
            pool.apply(write_flat, (folder,))
            runs = [(run.__name__, pool.apply(run, (folder,))) for run in (alone, tunegate, alone, tunegate)]
    names = ("alone", "tunegate")
    found = {name: min((r for n, r in runs if n == name), key=lambda r: r["cpu_seconds"]) for name in names}
    if found["alone"]["failed"] != found["tunegate"]["failed"]:
        raise SystemExit(f"not the same rows fail: {found}")
    print(f"{given.rows} rows, {len(found['alone']['failed'])} expectations")
    for name, run in found.items():
        print(f"{name:10} {run['seconds']:7.1f} s {run['cpu_seconds']:7.1f} s of processor {run['peak_mb']:7.0f} MB")
    ratio = found["tunegate"]["cpu_seconds"] / found["alone"]["cpu_seconds"]
    print(f"{ratio:.2f} times the time of Great Expectations alone")
    print(json.dumps({"rows": given.rows, "ratio": ratio, **found}))


if __name__ == "__main__":
    main()
