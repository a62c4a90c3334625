"""evaluate: the test rows answered by the untuned base and by the tuned model, one row per example."""

import dataclasses
from pathlib import Path

import pyarrow as pa

from tunegate.evaluation.adaptation import adaptation_csv
from tunegate.evaluation.answers import PREDICTION, require_rows
from tunegate.evaluation.predictions import answerable, predictions_of, remarks_of
from tunegate.files import write_json, write_text
from tunegate.models.cost import Cost
from tunegate.models.loading import load_tokenizer
from tunegate.models.resources import hardware, measured
from tunegate.models.tuned import load_tuned
from tunegate.params import load_params
from tunegate.tables import read_parquet, write_parquet


def main(params: str, prepared: str, base: str, adapter: str, predictions: str, cost: str, adaptation: str) -> None:
    """Write predictions.parquet, what it cost, and the adaptation curve of `fewshot`, empty for other techniques."""
    whole = load_params(Path(params))
    settings = whole.evaluate
    path = Path(prepared) / "test.parquet"
    rows = read_parquet(path).to_pylist()
    tuned = load_tuned(Path(base), Path(adapter), device=settings.device, precision=settings.precision)
    tokenizer = load_tokenizer(Path(base))
    require_rows(answerable(tuned.record.technique, rows), place=str(path))
    # Before the answers, which take longer: it may refuse the rows.
    write_text(Path(adaptation), adaptation_csv(tuned, Path(base), tokenizer, rows, Path(prepared), whole))
    with measured(settings.device) as meter:
        answers = predictions_of(tuned, tokenizer, rows, settings)
    write_parquet(Path(predictions), pa.Table.from_pylist(answers, schema=PREDICTION))
    spent = Cost(hardware=hardware(settings.device), **dataclasses.asdict(meter))
    write_json(Path(cost), spent.model_dump())
    for remark in remarks_of(tuned, rows):
        print(f"evaluate: {remark}")
    if tuned.record.technique == "pretrain":
        nll = {name: sum(answer[f"{name}_nll"] for answer in answers) / len(answers) for name in ("base", "tuned")}
        print(f"evaluate: {len(answers)} rows read, base {nll['base']:.3f} nats per token, tuned {nll['tuned']:.3f}")
        return
    right = {name: sum(answer[f"{name}_correct"] for answer in answers) for name in ("base", "tuned")}
    print(f"evaluate: of {len(answers)} rows, base answers {right['base']} correctly, tuned {right['tuned']}")
