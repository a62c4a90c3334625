"""A project whose stages only copy: real git, DVC, lock and run cache in two seconds, with any predictions one likes.

Tests of what compares commits use it instead of training. `inputs/` holds what each stage will give.
"""

import dataclasses
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunegate.data.rows import Row, table_of
from tunegate.evaluation.answers import PREDICTION
from tunegate.evaluation.examples import examples_of, sha256_of_test_set
from tunegate.evaluation.metrics import confusion_csv, metrics_of, timings_of
from tunegate.files import read_yaml, sha256_of_tree, write_json, write_text, write_yaml
from tunegate.models.cost import Cost, TrainCost, read_cost
from tunegate.tables import read_parquet, write_parquet

_TRAJECTORY = """step,epoch,loss,valid_loss,grad_norm,learning_rate,tokens
1,1,2.5,,1,0.1,512
2,1,1.25,1.5,1,0.1,512
"""
LABELS = ("roof", "heat", "noise")
_STAGES = {
    "base": ("models/base", [], ["base"]),
    "prepare": ("data/prepared", [], ["prepare"]),
    "tokenize": ("data/tokens", ["data/prepared", "models/base"], ["tokenize"]),
    "train": ("models/adapter", ["data/tokens", "models/base"], ["train"]),
    "package": ("models/package", ["models/adapter"], ["package"]),
}


def predictions(
    correct: Sequence[bool],
    *,
    groups: Sequence[str] | None = None,
    nll: Sequence[float] | None = None,
    seconds: float = 0.1,
    first: int = 0,
) -> pa.Table:
    """A table of predictions: row i is answered correctly by the tuned model where `correct[i]`; the base never is."""
    rows = []
    for number, right in enumerate(correct):
        index = number + first
        label = LABELS[index % len(LABELS)]
        wrong = LABELS[(index + 1) % len(LABELS)]
        row = {
            "id": f"row-{index:05d}",
            "group": groups[number] if groups else f"pair-{index // 2:05d}",
            "question": f"question number {index} about the {label} in the house of family {index * 7919 % 10007}",
            "reference": label,
            "label": label,
            "slices": [("language", "en" if index % 2 else "sv")],
        }
        loss = nll[number] if nll else (0.2 if right else 1.5)
        rows.append(
            row
            | {"base_answer": "?", "base_correct": False, "base_nll": 9.0, "base_seconds": 2 * seconds}
            | {"tuned_answer": label if right else wrong, "tuned_correct": right, "tuned_nll": loss}
            | {"tuned_seconds": seconds}
        )
    return pa.Table.from_pylist(rows, schema=PREDICTION)


def answers(rows: int, share: float, *, seed: int = 0) -> list[bool]:
    """`rows` random answers of which `share` is right."""
    chance = random.Random(seed)
    return [chance.random() < share for _ in range(rows)]


@dataclasses.dataclass(frozen=True)
class Miniature:
    """A miniature project in `root`; every method works on its working tree."""

    root: Path
    run: Callable[..., str]

    def predict(self, table: pa.Table) -> None:
        """Say what `evaluate` gives, and what follows from it."""
        write_parquet(self.root / "inputs/adapter/predictions.parquet", table)
        test = [
            Row(r["id"], r["group"], "made", text=r["question"], label=r["label"], slices=dict(r["slices"]))
            for r in table.to_pylist()
        ]
        write_parquet(self.root / "inputs/prepared/test.parquet", table_of(test))
        self._report()

    def train_on(self, questions: Sequence[str]) -> None:
        """Say which rows `prepare` puts into the training split."""
        rows = [
            Row(f"train-{i}", f"train-{i}", "made", text=question, label=LABELS[i % len(LABELS)])
            for i, question in enumerate(questions)
        ]
        write_parquet(self.root / "inputs/prepared/train.parquet", table_of(rows))
        write_parquet(self.root / "inputs/prepared/valid.parquet", table_of([]))

    def change(self, **params: Any) -> None:
        """Change parameters: `train__learning_rate=0.1`; the adapter changes with any of `train`."""
        values = read_yaml(self.root / "params.yaml")
        for name, value in params.items():
            section, key = name.split("__")
            values[section][key] = value
        write_yaml(self.root / "params.yaml", values)
        write_json(self.root / "inputs/adapter/training.json", {"steps": 10, "tokens": 5120, **values["train"]})
        self._report()

    def spend(self, *, hardware: str = "a processor, 2 threads", seconds: float = 10.0) -> None:
        """Say what `train` costs; `evaluate` takes half the time."""
        cost = {"hardware": hardware, "peak_memory_bytes": 2_000_000_000}
        train = cost | {"seconds": seconds, "tokens": 5120, "steps": 10, "resumed": False}
        write_json(self.root / "inputs/train_cost.json", train)
        write_json(self.root / "inputs/adapter/evaluate_cost.json", cost | {"seconds": seconds / 2})
        self._report()

    def commit(self, message: str, *, repro: bool = True) -> str:
        """Run the pipeline, commit everything and return the commit."""
        if repro:
            self.run("dvc", "repro", "-q", cwd=self.root)
        self.run("git", "add", "-A", cwd=self.root)
        self.run("git", "commit", "-qm", message, "--allow-empty", cwd=self.root)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """What git prints."""
        return self.run("git", *arguments, cwd=self.root).strip()

    def _report(self) -> None:
        if not (self.root / "inputs/adapter/predictions.parquet").exists():
            return
        table = read_parquet(self.root / "inputs/adapter/predictions.parquet")
        examples, lineage = examples_of(table, place="inputs"), sha256_of_tree(self.root / "inputs/adapter")
        test_set = sha256_of_test_set(table)
        metrics = metrics_of(examples, lineage=lineage, test_set=test_set, min_slice_rows=5, ignore_case=True)
        write_json(self.root / "inputs/reports/metrics.json", metrics)
        train = read_cost(self.root / "inputs/train_cost.json", TrainCost)
        evaluate = read_cost(self.root / "inputs/adapter/evaluate_cost.json", Cost)
        timings = timings_of(examples, train=train, evaluate=evaluate)
        write_json(self.root / "inputs/reports/timings.json", timings)
        write_text(self.root / "inputs/reports/confusion.csv", confusion_csv(examples, ignore_case=True))


def make_miniature(root: Path, project: dict[str, str], run: Callable[..., str]) -> Miniature:
    """A miniature in `root` whose text files are `project`'s, committed, with 200 rows of which 70 % are right."""
    for path, text in project.items():
        write_text(root / path, text)
    # Without bounds on the data: its stages tell too little of it, and what is not known is a warning.
    policy = project["policy/gate.yaml"]
    write_text(root / "policy/gate.yaml", re.sub(r"(?m)^data:.*\n(?: .*\n)*", "", policy))
    write_yaml(root / "dvc.yaml", {"stages": _stages()})
    miniature = Miniature(root, run)
    write_text(root / "inputs/base/config.json", "{}\n")
    write_text(root / "inputs/adapter/adapter_model.safetensors", "weights of the first adapter\n")
    write_text(root / "inputs/package/model.gguf", "G" * 1000)
    write_text(root / "inputs/trajectory.csv", _TRAJECTORY)
    for stage, folder in (("prepare", "prepared"), ("tokenize", "tokens")):
        ledger = {"stage": stage, "rows": {"in": 300, "out": 300}, "reasons": {}, "per_source": {}}
        notes = {"train_tokens_trained_share": 0.25} if stage == "tokenize" else {}
        write_json(root / f"inputs/{folder}/ledger.json", ledger | {"notes": notes})
    tokenized = {"stage": "tokenize", "notes": {"train_tokens_trained_share": 0.25}}
    data = {"rows": {"in": 300, "out": 300}, "stages": [tokenized]}
    write_json(root / "inputs/reports/data.json", data)
    miniature.train_on([f"training question {i} of family {i * 6151 % 9973} about a door" for i in range(50)])
    miniature.change()
    miniature.spend()
    miniature.predict(predictions(answers(200, 0.7)))
    run("git", "init", "-q", "-b", "main", cwd=root)
    run("dvc", "init", "-q", "-f", cwd=root)
    return miniature


def _stages() -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for name, (out, deps, params) in _STAGES.items():
        source = f"inputs/{Path(out).name}"
        command = f"rm -rf {out} && mkdir -p {Path(out).parent} && cp -r {source} {out}"
        stages[name] = {"cmd": command, "params": params, "deps": [source, *deps], "outs": [out]}
    # The answers come with the adapter: what `evaluate` itself depends on is how answers are made, as in real life.
    stages["evaluate"] = {
        "cmd": "cp models/adapter/predictions.parquet models/adapter/evaluate_cost.json models/",
        "params": ["evaluate"],
        "deps": ["data/prepared", "models/base", "models/adapter"],
        "outs": ["models/predictions.parquet", "models/evaluate_cost.json"],
    }
    for name, extra in (("train", "trajectory.csv"), ("train", "train_cost.json")):
        stages[name]["cmd"] += f" && cp inputs/{extra} models/{extra}"
        stages[name]["deps"].append(f"inputs/{extra}")
        stages[name]["outs"].append(f"models/{extra}")
    names = ("metrics.json", "timings.json", "data.json", "confusion.csv")
    stages["score"] = {
        "cmd": "mkdir -p reports && cp inputs/reports/* reports/",
        "params": ["score"],
        "deps": ["models/predictions.parquet", "inputs/reports"],
        "outs": [{f"reports/{name}": {"cache": False}} for name in names],
    }
    return stages
