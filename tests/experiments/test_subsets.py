from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tunegate.experiments.subsets import groups_in, keep_share
from tunegate.models.tokens.examples import TOKENS
from tunegate.params import Train
from tunegate.tables import read_parquet, write_parquet


@pytest.fixture
def project(tmp_path: Path) -> Path:
    ids = [f"row-{number}" for number in range(100)]
    groups = [f"pair-{number // 2}" for number in range(100)]
    write_parquet(tmp_path / "data/prepared/train.parquet", pa.table({"id": ids, "group": groups}))
    made = [f"{row}~typo" for row in ids]
    write_parquet(tmp_path / "data/tokens/augmented.parquet", pa.table({"id": made, "parent": ids}))
    write_parquet(tmp_path / "data/tokens/train.parquet", pa.table({"id": [*ids, *made]}))
    return tmp_path


def kept(project: Path, share: float, **train: Any) -> list[str]:
    path = project / "data/tokens/train.parquet"
    whole = path.read_bytes()
    count = keep_share(project, share, groups_in(project), Train(**train))
    found: list[str] = read_parquet(path)["id"].to_pylist()
    path.write_bytes(whole)
    assert len(found) == count
    return found


def test_shares_are_nested_and_groups_stay_together_with_what_was_made_of_them(project: Path) -> None:
    quarter, half, whole = (kept(project, share) for share in (0.25, 0.5, 1.0))
    assert set(quarter) < set(half) < set(whole)
    assert (len(half), len(whole)) == (100, 200)
    groups = groups_in(project)
    for rows in (quarter, half):
        chosen = {groups[row] for row in rows}
        assert set(rows) == {row for row in whole if groups[row] in chosen}
    assert kept(project, 0.25) == quarter
    assert len(kept(project, 0.001)) == 4


@pytest.mark.parametrize(
    "train",
    [
        {"technique": "classify"},
        {"technique": "classify", "classify": {"multi_label": True}},
        {"technique": "multitask", "multitask": {"task": "desk"}},
        {"technique": "fewshot"},
    ],
)
def test_every_share_has_every_label_or_task_and_shares_stay_nested(tmp_path: Path, train: dict[str, Any]) -> None:
    ids = [f"row-{number}" for number in range(64)]
    labels = ["common" if number < 60 else f"rare-{number}" for number in range(64)]
    targets = [label if "multi_label" not in str(train) else f"{label};common" for label in labels]
    rows = [
        {"id": row, "ids": [1], "labels": [1], "target": target, "tasks": [("source", label), ("desk", label)]}
        for row, target, label in zip(ids, targets, labels, strict=True)
    ]
    write_parquet(tmp_path / "data/prepared/train.parquet", pa.table({"id": ids, "group": ids}))
    write_parquet(tmp_path / "data/tokens/train.parquet", pa.Table.from_pylist(rows, schema=TOKENS))
    shares = [set(kept(tmp_path, share, **train)) for share in (0.01, 0.125, 0.5, 1.0)]
    known = dict(zip(ids, labels, strict=True))
    assert [{known[row] for row in share} for share in shares] == [set(labels)] * 4
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert [len(share) for share in shares[1:]] == [8, 32, 64]
