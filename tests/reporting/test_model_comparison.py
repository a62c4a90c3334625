from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.files import write_json, write_text, write_yaml
from tunegate.reporting.model_comparison import markdown, measured, rows_of

MODEL = {"accuracy": 0.5, "macro_f1": 0.4, "nll": 1.0}


def project(folder: Path, *, accuracy: float = 0.5, seconds: float = 0.1) -> Path:
    languages = {"en": {"tuned": MODEL}, "sv": {"rows": 2}}
    desks = {f"desk-{n}": {"tuned": MODEL} for n in range(9)}
    slices: dict[str, Any] = {"language": languages, "desk": desks}
    write_json(folder / "reports/metrics.json", {"tuned": MODEL | {"accuracy": accuracy}, "slices": slices})
    cost = {"seconds": 90.0, "peak_memory_bytes": 2_000_000_000}
    timings = {"tuned": {"p50_seconds": seconds, "p95_seconds": 2 * seconds}, "train": cost}
    write_json(folder / "reports/timings.json", timings)
    return folder


def test_two_projects_stand_in_one_table(tmp_path: Path) -> None:
    one, other = project(tmp_path / "one", accuracy=0.75, seconds=0.02), project(tmp_path / "other")
    write_text(one / "models/package/model.safetensors", "x" * 5000)
    rows = rows_of({folder.name: measured(folder) for folder in (one, other)})
    assert rows == [
        ("", "one", "other"),
        ("Accuracy", "75.0 %", "50.0 %"),
        ("F1, macro", "40.0 %", "40.0 %"),
        ("Accuracy, language en", "50.0 %", "50.0 %"),
        ("Seconds per row, p50", "20 ms", "100 ms"),
        ("Seconds per row, p95", "40 ms", "200 ms"),
        ("Training", "1 min 30 s", "1 min 30 s"),
        ("Largest memory of training", "2 GB", "2 GB"),
        ("Package", "5 kB", ""),
    ]
    assert markdown(rows).splitlines()[:3] == [
        "|  | one | other |",
        "|---|---:|---:|",
        "| Accuracy | 75.0 % | 50.0 % |",
    ]


def test_a_package_that_is_not_here_has_the_size_that_the_lock_says(tmp_path: Path) -> None:
    folder = project(tmp_path / "one")
    out = {"path": "models/package", "hash": "md5", "md5": "a" * 32 + ".dir", "size": 1234, "nfiles": 3}
    write_yaml(folder / "dvc.lock", {"schema": "2.0", "stages": {"package": {"cmd": "x", "outs": [out]}}})
    assert measured(folder)["package"] == 1234


def test_a_project_that_has_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the pipeline has not run there") as caught:
        measured(tmp_path)
    assert str(tmp_path) in caught.value.place
