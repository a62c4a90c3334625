from pathlib import Path

import pytest

from tunegate.data.rows import Row, table_of
from tunegate.errors import InputError, RefusedError
from tunegate.files import read_yaml, write_json, write_yaml
from tunegate.models.cost import Cost, read_cost
from tunegate.models.folders import TUNED
from tunegate.stages import evaluate
from tunegate.tables import read_parquet, write_parquet

OUTS = ("predictions.parquet", "cost.json", "adaptation.csv")


def run(count: int = 3, label: str | None = "roof") -> None:
    """The stage on so many test rows."""
    rows = [Row(f"row-{n}", f"row-{n}", "desks", text=f"the roof leaks {n}", label=label) for n in range(count)]
    write_parquet(Path("prepared/test.parquet"), table_of(rows))
    params = read_yaml(Path("params.yaml"))
    params["evaluate"]["max_new_tokens"] = 2
    write_yaml(Path("params.yaml"), params)
    evaluate.main("params.yaml", "prepared", "base", "adapter", *(f"out/{name}" for name in OUTS))


def test_base_and_tuned_model_answer_every_test_row(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    rows = read_parquet(Path("out/predictions.parquet")).to_pylist()
    assert [(row["id"], row["reference"]) for row in rows] == [(f"row-{n}", "roof") for n in range(3)]
    assert all(row["base_nll"] != row["tuned_nll"] for row in rows)
    assert read_cost(Path("out/cost.json"), Cost).seconds > 0
    assert Path("out/adaptation.csv").read_text() == "task,model,steps,rows,nll\n", "of another technique than fewshot"
    right = [sum(row[f"{name}_correct"] for row in rows) for name in ("base", "tuned")]
    assert f"of 3 rows, base answers {right[0]} correctly, tuned {right[1]}" in capsys.readouterr().out


def test_raw_text_is_read_and_not_answered(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(Path("adapter", TUNED), {"technique": "pretrain"})
    run(label=None)
    rows = read_parquet(Path("out/predictions.parquet")).to_pylist()
    base, tuned = (sum(row[f"{name}_nll"] for row in rows) / 3 for name in ("base", "tuned"))
    assert f"3 rows read, base {base:.3f} nats per token, tuned {tuned:.3f}" in capsys.readouterr().out


def test_without_a_test_row_nothing_is_written(trained: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(0)
    assert caught.value.place.startswith("prepared/test.parquet")
    assert not Path("out").exists()


def test_an_adapter_of_another_base_answers_nothing(trained: Path) -> None:
    Path("base/chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(RefusedError, match="another template"):
        run()
    assert not Path("out").exists()
