import asyncio
from pathlib import Path

from tunegate.engines.chat import Chat
from tunegate.engines.openvino import OpenVINOEngine
from tunegate.evaluation.parity import Expected, agreement
from tunegate.models.manifest import verify
from tunegate.tables import read_parquet


def test_the_service_answers_the_test_questions_as_evaluate_did(finished: Path) -> None:
    package = finished / "models/package"
    chat = Chat(package)
    engine = OpenVINOEngine(package, verify(package), chat.eos_id)
    rows = read_parquet(finished / "models/predictions.parquet").to_pylist()
    expected = [Expected([{"role": "user", "content": row["question"]}], row["tuned_answer"]) for row in rows]
    try:
        found = asyncio.run(agreement(engine, chat, expected, 6))
    finally:
        engine.close()
    assert found.questions == len(rows) > 0
    assert found.holds, found.different
