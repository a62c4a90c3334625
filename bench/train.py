"""How fast and how large training is: ours, a plain padded loop, and TRL's SFTTrainer, on the same rows and steps.

    python bench/train.py --tokens data/tokens --base models/base                ours beside TRL
    python bench/train.py … --contest ablation                                   what each part of the fast path gives
    python bench/train.py … --contest trl                                        the settings of TRL that were tried
    python bench/train.py … --device cuda --shape 1b                             random weights and rows, on a GPU

Each contestant is a process of its own, with its own peak of memory. They take turns, one step each, so that whatever
else the machine does disturbs all of them alike; what counts is the median over the steps of the ratio to ours, in
seconds of the processor (one thread each) or of the wall (--threads 2, or a GPU). The run stops when the losses of
ours and of the plain padded loop, both in fp32, differ by more than a thousandth. bench/train_contestants.py says what
they do.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tunegate.files import write_json

CONTESTS = {
    "main": ("ours", "ours, checkpointing", "TRL, best", "TRL, defaults"),
    "ablation": (
        "padded, fp32", "padded, bf16", "+ fresh memory is not filled", "+ padding-free", "+ logits where trained",
        "+ attention by documents", "+ LoRA as one operation", "ours", "ours, fp32",
    ),
    "trl": (
        "ours", "ours, checkpointing", "TRL, defaults", "TRL, no checkpointing", "TRL, a step at once",
        "TRL, a step at once, sorted", "TRL, packed", "TRL, best",
    ),
}  # fmt: skip
TOLERANCE = 1e-3
PEAK_FLOPS = {"cuda": 989e12}
"""bf16, dense, of an H100 or H200: what model-flops utilisation is a share of."""


class Contestant:
    """A process that does one step when it is told to."""

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.name = name
        worker = Path(__file__).with_name("train_contestants.py")
        options = ("tokens", "base", "device", "shape", "rows", "steps")
        command = [f"--{option}={getattr(arguments, option)}" for option in options]
        threads = {f"{library}_NUM_THREADS": str(arguments.threads) for library in ("OMP", "MKL")}
        # Compiled kernels that torch keeps by default, and those it keeps when tunegate.training came first.
        kept = "1024" if name.startswith(("TRL", "padded")) else "32"
        caches = dict.fromkeys(("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"), kept)
        self.process = subprocess.Popen(
            [sys.executable, str(worker), f"--name={name}", *command],
            env=os.environ | threads | caches | {"TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not arguments.verbose else None,
            text=True,
        )
        self.steps: list[dict[str, float]] = []
        self.about: dict[str, Any] = self._heard()

    def step(self) -> None:
        """Let it do a step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.steps.append(self._heard())

    def end(self) -> None:
        """Let it end."""
        self.process.kill()
        self.process.wait()

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read() if self.process.stderr is not None else ""
            sys.exit(f"{self.name} ended:\n{said[-4000:]}")
        return dict(json.loads(line))


def main() -> None:
    arguments = parsed()
    found = run(arguments)
    if arguments.json is not None:
        write_json(arguments.json, found)
    show(found)
    check_losses(found)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every contestant's steps, taken in turns; the first step of each warms it up and counts for its loss only."""
    names = arguments.only or CONTESTS[arguments.contest]
    contestants = []
    try:
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            contestants.append(Contestant(name, arguments))
        for number in range(arguments.steps):
            print(f"step {number + 1} of {arguments.steps}", file=sys.stderr, flush=True)
            for contestant in contestants:
                contestant.step()
    finally:
        for contestant in contestants:
            contestant.end()
    clock = "cpu" if arguments.threads == 1 and arguments.device == "cpu" else "wall"
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "trl")}
    return {
        "hardware": contestants[0].about["hardware"],
        "versions": versions,
        "clock": clock,
        "settings": {key: str(value) for key, value in vars(arguments).items() if key != "json"},
        "parameters": contestants[0].about["parameters"],
        "contestants": {c.name: measured(c, contestants, clock) for c in contestants},
    }


def measured(one: Contestant, all_of_them: list[Contestant], clock: str) -> dict[str, Any]:
    """What a contestant's steps say, beside those of `ours` (or of the first contestant)."""
    ours = next((c for c in all_of_them if c.name == "ours"), all_of_them[0])
    pairs = list(zip(one.steps[1:], ours.steps[1:], strict=True))
    rates = {what: statistics.median(step[what] / step[clock] for step, _ in pairs) for what in ("trained", "tokens")}
    ratio = statistics.median(mine[clock] / theirs[clock] for mine, theirs in pairs)
    memory = max(step["memory"] for step in one.steps)
    return {
        "trained_per_second": rates["trained"],
        "tokens_per_second": rates["tokens"],
        "time_beside_ours": ratio,
        "memory_bytes": memory,
        "memory_beside_ours": memory / max(step["memory"] for step in ours.steps),
        "loss": [step["loss"] for step in one.steps],
        "wall_seconds": [step["wall"] for step in one.steps],
        "cpu_seconds": [step["cpu"] for step in one.steps],
    }


def show(found: dict[str, Any]) -> None:
    print(
        f"{found['hardware']}; {', '.join(f'{k} {v}' for k, v in found['versions'].items())}; {found['clock']} seconds"
    )
    print("| | trained tokens/s | tokens/s | time, ours = 1 | peak memory | memory, ours = 1 |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, values in found["contestants"].items():
        rates = f"{values['trained_per_second']:.0f} | {values['tokens_per_second']:.0f}"
        memory = f"{values['memory_bytes'] / 2**20:,.0f} MiB | {values['memory_beside_ours']:.2f}"
        print(f"| {name} | {rates} | {values['time_beside_ours']:.2f} | {memory} |")
    peak = PEAK_FLOPS.get(found["settings"]["device"])
    if peak is not None:
        rate = next(iter(found["contestants"].values()))["tokens_per_second"]
        print(f"model-flops utilisation of the first: {6 * found['parameters'] * rate / peak:.1%}")


def check_losses(found: dict[str, Any]) -> None:
    """Stop when the fast path in fp32 does not learn what the plain padded loop learns."""
    held = found["contestants"]
    if not {"ours, fp32", "padded, fp32"} <= held.keys():
        return
    pairs = list(zip(held["ours, fp32"]["loss"], held["padded, fp32"]["loss"], strict=True))
    worst = max(abs(ours - plain) / abs(plain) for ours, plain in pairs)
    print(f"losses of {len(pairs)} steps in fp32: at most {worst:.1e} from the plain padded loop's")
    if not worst <= TOLERANCE:
        sys.exit("the fast path does not learn what the plain loop learns")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contest", choices=CONTESTS, default="main")
    parser.add_argument("--only", nargs="+", help="these contestants, in place of a contest's")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--base", type=Path, default=Path("models/base"))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shape", default="", help="0.1b, 1b, 3b or 8b: random weights and rows in place of a base")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=16, help="rows of a step")
    parser.add_argument("--steps", type=int, default=6, help="the first warms up")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    parser.add_argument("--verbose", action="store_true", help="show what the contestants say")
    return parser.parse_args()


if __name__ == "__main__":
    main()
