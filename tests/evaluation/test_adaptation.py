import csv
import io
from pathlib import Path
from typing import Any

import pytest
from technique_runs import start_of

from tunegate.data.rows import ROW, Row, table_of
from tunegate.errors import InputError
from tunegate.evaluation.adaptation import STEPS, adaptation_csv, tasks_to_measure
from tunegate.files import read_yaml
from tunegate.models.folders import TunedRecord
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.answers import Answers
from tunegate.models.tuned import tuned_from_peft
from tunegate.params import Fewshot, Params, Train, parse
from tunegate.tables import read_parquet, write_parquet
from tunegate.training import checkpoint, loop

ROOT = Path(__file__).parents[2]
TRAIN = Train(
    technique="fewshot",
    precision="fp32",
    epochs=10,
    tokens_per_step=512,
    learning_rate=0.02,
    warmup_share=0.0,
    rank=4,
    fewshot=Fewshot(task="desk", inner_steps=3, inner_learning_rate=0.3, shots=2),
)


def rows(tasks: str, count: int) -> list[dict[str, Any]]:
    """Every desk gives one answer, its own letter, whatever is asked."""
    rows = [
        Row(f"{t}{n}", f"{t}{n}", "s", text=f"room {n}", label=t * 2, slices={"desk": t})
        for t in tasks
        for n in range(count)
    ]
    table: list[dict[str, Any]] = table_of(rows, ROW).to_pylist()
    return table


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    import pyarrow as pa

    write_parquet(tmp_path / "train.parquet", pa.Table.from_pylist(rows("abcdef", 6), schema=ROW))
    return tmp_path


def params_of() -> Params:
    shipped = read_yaml(ROOT / "params.yaml")
    settings = {name: getattr(TRAIN, name) for name in TRAIN.model_fields_set - {"fewshot"}}
    own = {"train": settings | {"fewshot": TRAIN.fewshot.model_dump()}}
    return parse(Params, shipped | own, place="test", remedy="")


def test_a_new_task_is_learned_sooner_from_the_learned_start(prepared: Path, tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    encoded = Answers(with_tasks=True)(Recipe.of(tokenizer), read_parquet(prepared / "train.parquet").to_pylist())
    examples = list(encoded)
    model, technique = start_of(tiny_model, TRAIN)
    loop.run(model, examples, examples[:6], TRAIN, technique, {})
    checkpoint.discard()
    tuned = tuned_from_peft(model.eval(), TunedRecord(technique="fewshot"))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    text = adaptation_csv(tuned, tiny_model, tokenizer, rows("abgh", 5), prepared, params_of())
    points = list(csv.DictReader(io.StringIO(text)))
    assert {point["task"] for point in points} == {"g", "h"}, "tasks that training has not seen"
    assert {point["rows"] for point in points} == {"3"}
    nll = {(p["task"], p["model"], int(p["steps"])): float(p["nll"]) for p in points}
    assert len(nll) == 2 * 2 * len(STEPS)
    for task in "gh":
        assert nll[task, "tuned", 8] < nll[task, "tuned", 0]
        assert nll[task, "tuned", 4] < nll[task, "base", 4]
    assert all((now == then).all() for now, then in zip(model.parameters(), before, strict=True))
    assert adaptation_csv(tuned, tiny_model, tokenizer, rows("abgh", 5), prepared, params_of()) == text


def test_where_no_task_is_new_all_are_measured_and_small_ones_are_left_out(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tasks = tasks_to_measure(tokenizer, rows("ab", 4) + rows("c", 2), rows("abc", 1), TRAIN)
    assert [(task.name, len(task.shots), len(task.others)) for task in tasks] == [("a", 2, 2), ("b", 2, 2)]
    with pytest.raises(InputError, match="no task has more than 2 test rows"):
        tasks_to_measure(tokenizer, rows("ab", 2), [], TRAIN)


def test_another_technique_has_no_curve(prepared: Path, tiny_model: Path) -> None:
    tuned = tuned_from_peft(None, TunedRecord(technique="sft"))
    text = adaptation_csv(tuned, tiny_model, load_tokenizer(tiny_model), [], prepared, params_of())
    assert text == "task,model,steps,rows,nll\n"
