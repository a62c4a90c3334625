"""What waiting threads cost: the time of a training step by number of threads and by how they wait for each other.

    python bench/threads.py --tokens data/tokens --base models/base          the default project's model and rows
    python bench/threads.py --shape 0.1b                                     random weights and rows, no project

torch's threads wait after every operation. Waiting, they spin (fast on a quiet machine) or sleep (fair on a busy
one): `OMP_WAIT_POLICY` and `GOMP_SPINCOUNT` of libgomp decide, before torch is loaded. Each setting is a process of its
own; its steps are timed on a quiet machine and again with one busy loop per core, which ends by itself. The number is
the median of the steps after the first, in seconds of the wall.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAITS: dict[str, dict[str, str]] = {
    "libgomp's default": {},
    "active": {"OMP_WAIT_POLICY": "active"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    **{f"spin {count}": {"GOMP_SPINCOUNT": str(count)} for count in (10_000, 3_000, 1_000, 100)},
}
UNSET = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
BUSY_SECONDS = 900


def main() -> None:
    arguments = parsed()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} before; {arguments.rows} rows a step, {arguments.steps} steps")
    print("| threads | waiting | quiet, s | busy, s |")
    print("|--:|---|--:|--:|")
    for threads in range(1, min(cores, arguments.threads) + 1):
        for wait, environment in WAITS.items() if threads > 1 else [("nothing to wait for", {})]:
            quiet = step_seconds(arguments, threads, environment)
            with busy(cores):
                under_load = step_seconds(arguments, threads, environment)
            print(f"| {threads} | {wait} | {quiet:.2f} | {under_load:.2f} |", flush=True)


def step_seconds(arguments: argparse.Namespace, threads: int, environment: dict[str, str]) -> float:
    """Train by the contestant `ours` of bench/train_contestants.py; the median of its steps after the first."""
    options = [f"--{name}={getattr(arguments, name)}" for name in ("tokens", "base", "shape", "rows", "steps")]
    command = [sys.executable, str(Path(__file__).with_name("train_contestants.py")), "--name=ours", "--device=cpu"]
    inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
    process = subprocess.run(
        [*command, *options],
        env=inherited | environment | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"},
        input="\n" * arguments.steps,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        sys.exit(process.stderr[-2000:])
    steps = [json.loads(line) for line in process.stdout.splitlines()][1:]
    return statistics.median(step["wall"] for step in steps[1:])


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """While open, every core has one more process that wants all of it."""
    loop = f"import time; end = time.monotonic() + {BUSY_SECONDS}\nwhile time.monotonic() < end: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(cores)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for process in loops:
            process.kill()
            process.wait()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--base", type=Path, default=Path("models/base"))
    parser.add_argument("--shape", default="", help="0.1b: random weights and rows in place of a base")
    parser.add_argument("--threads", type=int, default=2, help="the most")
    parser.add_argument("--rows", type=int, default=16, help="rows of a step")
    parser.add_argument("--steps", type=int, default=6, help="the first warms up")
    return parser.parse_args()


if __name__ == "__main__":
    main()
