"""A project whose training is a formula of its parameters: real git, DVC and stages, a trial in two seconds.

The validation loss has its minimum at learning rate 0.01 and rank 16, and falls from epoch to epoch and with the weight
of the source faq; a rank of 64 fails as a stage fails. While it trains it leaves checkpoints, as the real training
does. The package grows with the rank.
"""

from collections.abc import Callable
from pathlib import Path

from tunegate.cli.init import project_files
from tunegate.files import read_yaml, write_text, write_yaml

_TRAIN = """
import json, math, sys, time
from pathlib import Path

from ruamel.yaml import YAML

params = YAML(typ="safe").load(Path("params.yaml"))
train, faq = params["train"], params["prepare"].get("mixture", {}).get("faq", {"weight": 1})
if train["rank"] == 64:
    print("error: train: the loss is nan at step 3\\nfix: lower train.learning_rate")
    sys.exit(3)
goal = math.log10(train["learning_rate"] / 0.01) ** 2 + 0.1 * math.log2(train["rank"] / 16) ** 2 + 0.5
goal -= 0.1 * (faq["weight"] - 1)
records, rows = [], ["step,epoch,loss,valid_loss,grad_norm,learning_rate,tokens"]
pause = Path("pause")
for epoch in range(1, train["epochs"] + 1):
    loss = round(goal + 1 / epoch, 6)
    records.append({"step": epoch, "epoch": epoch, "valid_loss": loss, "loss": loss})
    rows.append(f"{epoch},{epoch},{loss},{loss},1,0.1,512")
    checkpoint = Path(".tunegate/checkpoint")
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / "run.part").write_text(json.dumps({"records": records}))
    (checkpoint / "run.part").replace(checkpoint / "run.json")
    time.sleep(float(pause.read_text()))
Path("models/adapter").mkdir(parents=True)
head = json.dumps({"lora_A": {"dtype": "F32", "shape": [train["rank"], 4], "data_offsets": [0, 0]}}).encode()
Path("models/adapter/adapter_model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)
Path("models/trajectory.csv").write_text("\\n".join(rows) + "\\n")
Path("models/adapter/loss.json").write_text(json.dumps(loss))
"""
_SCORE = """
import hashlib, json
from pathlib import Path

loss = json.loads(Path("models/adapter/loss.json").read_text())
base, tuned = {"accuracy": 0.1, "nll": 9.0}, {"accuracy": round(1 / loss, 6), "nll": loss}
(key,) = (line for line in Path("data/prepared").read_text().splitlines() if "split_key" in line)
test = hashlib.sha256(key.encode()).hexdigest()
seconds = {"mean_seconds": 0.2, "p50_seconds": 0.2, "p95_seconds": 0.3}
cost = {"hardware": "a processor, 1 thread", "seconds": 90.0, "peak_memory_bytes": 1000}
metrics = {"lineage": hashlib.sha256(str(loss).encode()).hexdigest(), "test_set": test, "rows": 100}
metrics |= {"base": base, "tuned": tuned, "delta": {name: tuned[name] - base[name] for name in base}}
timings = {"rows": 100, "base": seconds, "tuned": seconds, "evaluate": cost}
timings["train"] = cost | {"tokens": 5, "steps": 1, "resumed": False}
Path("reports").mkdir(exist_ok=True)
Path("reports/metrics.json").write_text(json.dumps(metrics))
Path("reports/timings.json").write_text(json.dumps(timings))
"""


_PACKAGE = """
import json
from pathlib import Path

content = Path("models/adapter/adapter_model.safetensors").read_bytes()[8:]
Path("models/package").mkdir(parents=True)
Path("models/package/weights").write_bytes(bytes(100 * json.loads(content)["lora_A"]["shape"][0]))
"""


def make_analytic_project(folder: Path, run: Callable[..., str], *, pause: float = 0.0) -> Path:
    """Fill `folder` with the project and commit it; `pause` are seconds between two epochs."""
    project = project_files("formula")
    for path in ("params.yaml", ".gitignore", ".dvcignore"):
        write_text(folder / path, project[path])
    params = read_yaml(folder / "params.yaml")
    params["train"] |= {"rank": 8, "learning_rate": 0.002, "epochs": 4}
    write_yaml(folder / "params.yaml", params)
    write_text(folder / "train.py", _TRAIN)
    write_text(folder / "score.py", _SCORE)
    write_text(folder / "package.py", _PACKAGE)
    write_text(folder / "pause", str(pause))
    write_yaml(folder / "dvc.yaml", {"stages": _stages()})
    run("git", "init", "-q", "-b", "main", cwd=folder)
    run("dvc", "init", "-q", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-qm", "A formula", cwd=folder)
    return folder


def _stages() -> dict[str, object]:
    return {
        "tokenize": {
            "cmd": "mkdir -p data && grep -E 'split_key|mixture' params.yaml > data/prepared",
            "params": ["prepare"],
            "outs": ["data/prepared"],
        },
        "train": {
            "cmd": "python train.py",
            "params": ["train"],
            "deps": ["data/prepared", "train.py", "pause"],
            "outs": ["models/adapter", "models/trajectory.csv"],
        },
        "score": {
            "cmd": "python score.py",
            "deps": ["models/adapter", "score.py"],
            "outs": [{f"reports/{name}.json": {"cache": False}} for name in ("metrics", "timings")],
        },
        "package": {
            "cmd": "python package.py",
            "deps": ["models/adapter", "package.py"],
            "outs": ["models/package"],
        },
    }
