from pathlib import Path

from tunegate.data.rows import Row, table_of
from tunegate.review.contamination import contaminated
from tunegate.tables import write_parquet


def prepared(folder: Path, **splits: dict[str, str]) -> Path:
    for name, rows in splits.items():
        table = table_of(Row(key, key, "made", text=text, label="roof") for key, text in rows.items())
        write_parquet(folder / f"{name}.parquet", table)
    return folder


def test_exact_and_near_copies_are_told_apart_and_named(tmp_path: Path) -> None:
    long = " ".join(f"word{i}" for i in range(50))
    rows = {"a": "Does the roof leak?", "b": long, "c": "something else entirely"}
    folder = prepared(tmp_path, test=rows, train={"x": "does the ROOF leak", "y": long + " more"})
    exact, near = contaminated(folder, folder, near=0.9)
    assert [(match.left, match.right) for match in exact] == [("a", "x")]
    assert [(match.left, match.right, round(match.similarity, 2)) for match in near] == [("b", "y", 0.98)]
