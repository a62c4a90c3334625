"""evaluate: the test rows answered by the untuned base and by the tuned model, one row per example."""

from pathlib import Path

import pyarrow as pa

from tunegate.evaluation.answering import PREDICTION, answer_all, require_rows
from tunegate.files import read_parquet, write_parquet
from tunegate.models.loading import attach_adapter, load_base, load_tokenizer
from tunegate.params import load_params


def main(params: str, prepared: str, base: str, adapter: str, predictions: str) -> None:
    """Write predictions.parquet."""
    settings = load_params(Path(params)).evaluate
    path = Path(prepared) / "test.parquet"
    rows = require_rows(read_parquet(path).to_pylist(), place=str(path))
    model = load_base(Path(base), device=settings.device, precision=settings.precision)
    model = attach_adapter(model, Path(adapter), Path(base))
    answers = answer_all(model, load_tokenizer(Path(base)), rows, settings)
    write_parquet(Path(predictions), pa.Table.from_pylist(answers, schema=PREDICTION))
    right = {name: sum(answer[f"{name}_correct"] for answer in answers) for name in ("base", "tuned")}
    print(f"evaluate: of {len(answers)} rows, base answers {right['base']} correctly, tuned {right['tuned']}")
