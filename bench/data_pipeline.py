"""From raw files to tokens, at several sizes: seconds, microseconds per row and peak memory of each stage.

    python bench/data_pipeline.py --work ../scale --rows 10000 100000 1000000

Makes a project with `tunegate init` in WORK for each size, with a JSON Lines file of questions of about 200 characters:
made words with Zipf's frequencies, a fixed seed, one row in fifty damaged, one in fifty a duplicate, one in fifty a
near duplicate, one in two hundred with an e-mail address. Then runs the commands of dvc.yaml, each in a process of its
own, with the tokenizer of the default base model. Last: how cost grows, as the slope of log(seconds) over log(rows);
1 is linear. `--again` adds one row in a hundred to the largest and runs its stages once more.
"""

import argparse
import itertools
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tunegate.cli.init import project_files
from tunegate.files import read_yaml, write_json, write_text, write_yaml

STAGES = ("ingest", "validate", "prepare", "tokenize")
LABELS = 40
WORDS = 50_000
SYLLABLES = ("ba", "de", "ki", "lo", "mu", "na", "per", "sto", "vin", "ra", "tel", "gor", "sa", "fi", "hus")
DAMAGED = "Ã¤"


def words(rng: np.random.Generator) -> list[str]:
    """Synthetic words of two to four syllables; short ones are frequent."""
    sizes = np.sort(rng.integers(2, 5, WORDS))
    return ["".join(SYLLABLES[i] for i in rng.integers(0, len(SYLLABLES), size)) for size in sizes]


def questions(rows: int, *, first: int = 0) -> Iterator[dict[str, Any]]:
    """`rows` rows from number `first` on; row i is the same for any number of rows."""
    vocabulary = words(np.random.default_rng(1))
    weights = 1 / np.arange(1, WORDS + 1) ** 0.9
    chances = weights / weights.sum()
    block = 10_000
    for start in range(first - first % block, first + rows, block):
        rng = np.random.default_rng((7, start))
        picked = rng.choice(WORDS, (block, 33), p=chances)
        labels, lengths = rng.integers(0, LABELS, block), rng.integers(24, 34, block)
        for offset in range(block):
            number = start + offset
            if not first <= number < first + rows:
                continue
            kind = number % 50
            # A duplicate, or nearly one, of the row before last.
            model = offset - 2 if kind in (10, 30) else offset
            said = [vocabulary[i] for i in picked[model][: lengths[model]]]
            if kind == 30:
                said.append("igen")
            if kind == 20:
                said[3] = f"{DAMAGED}{said[3]}\u00a0"
            if number % 200 == 5:
                said[5] = f"{said[5]}@example.org"
            label = int(labels[model])
            yield {"id": f"q{number:09d}", "text": " ".join(said).capitalize() + "?", "label": f"desk {label}"}


def write_rows(path: Path, rows: int, *, first: int = 0) -> None:
    """Append rows to a JSON Lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for row in questions(rows, first=first):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def make_project(folder: Path, base: Path | None) -> None:
    """A project whose only source is data/raw/questions.jsonl; the base model is created once and linked."""
    for path, text in project_files("scale").items():
        write_text(folder / path, text)
    source = {"name": "questions", "path": "data/raw/questions.jsonl", "license": "CC0-1.0"}
    write_yaml(folder / "data/sources.yaml", {"sources": [source]})
    params = read_yaml(folder / "params.yaml")
    params["prepare"]["label_noise"] = False  # bounded by 50,000 rows, so that it does not scale
    params["compute"]["memory"] = MEMORY
    write_yaml(folder / "params.yaml", params)
    if base is None:
        run_stage(folder, "base")
    else:
        (folder / "models/base").symlink_to(base.resolve())


MEMORY = "2GB"


def run_stage(folder: Path, stage: str) -> dict[str, float]:
    """Seconds and peak memory (MiB) of the stage's command."""
    _, *command = shlex.split(read_yaml(folder / "dvc.yaml")["stages"][stage]["cmd"])
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    output = process.stdout.read().strip()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{stage}: exit code {process.returncode}")
    print(f"    {output}", file=sys.stderr, flush=True)
    return {"seconds": seconds, "mebibytes": used.ru_maxrss / 1024, "cpu_seconds": used.ru_utime + used.ru_stime}


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """The cost of each stage on `rows` rows."""
    costs: dict[str, Any] = {}
    for stage in STAGES:
        costs[stage] = cost = run_stage(folder, stage)
        print(
            f"| {rows:,} | {stage} | {cost['seconds']:.1f} s | {1e6 * cost['seconds'] / rows:.0f} µs "
            f"| {cost['mebibytes']:,.0f} MiB |",
            flush=True,
        )
    return costs


def slopes(measured: dict[int, dict[str, Any]]) -> dict[str, float]:
    """For each stage and the whole: the slope of log(seconds) over log(rows), by least squares."""
    sizes = sorted(measured)
    costs = {stage: [measured[size][stage]["seconds"] for size in sizes] for stage in STAGES}
    costs["all"] = [sum(measured[size][stage]["seconds"] for stage in STAGES) for size in sizes]
    x = [math.log(size) for size in sizes]
    return {name: float(np.polyfit(x, np.log(seconds), 1)[0]) for name, seconds in costs.items()}


def main() -> None:
    """Measure every size, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--memory", default="2GB", help="compute.memory of the project")
    parser.add_argument("--again", action="store_true", help="then add one per cent more rows and run again")
    given = parser.parse_args()
    globals()["MEMORY"] = given.memory
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, compute.memory {given.memory}\n")
    print("| rows | stage | time | per row | peak memory |\n|---|---|---|---|---|")
    measured: dict[int, dict[str, Any]] = {}
    base = None
    for rows in sorted(given.rows):
        folder = given.work / str(rows)
        make_project(folder, base)
        base = base or folder / "models/base"
        write_rows(folder / "data/raw/questions.jsonl", rows)
        measured[rows] = measure(folder, rows)
    result: dict[str, Any] = {"rows": measured}
    if given.again:
        most = max(given.rows)
        write_rows(given.work / str(most) / "data/raw/questions.jsonl", most // 100, first=most)
        result["again"] = measure(given.work / str(most), most + most // 100)
    if len(measured) > 1:
        result["slopes"] = slopes(measured)
        print("\nslopes: " + ", ".join(f"{name} {slope:.2f}" for name, slope in result["slopes"].items()))
    totals = {rows: sum(costs[s]["seconds"] for s in STAGES) for rows, costs in measured.items()}
    for (rows, one), (more, other) in itertools.pairwise(sorted(totals.items())):
        print(f"{rows:,} rows {one:.1f} s, {more:,} rows {other:.1f} s")
    write_json(given.work / "result.json", json.loads(json.dumps(result)))


if __name__ == "__main__":
    main()
