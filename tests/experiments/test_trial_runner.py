"""What a trial leaves in its checkout; tests/experiments/test_search.py runs trials."""

import json
from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.experiments.declaration import Objective, Search
from tunegate.experiments.trial_runner import (
    SearchContext,
    losses_of,
    losses_so_far,
    measure,
    stages_for,
    upload,
)
from tunegate.files import write_json, write_text
from tunegate.params import Params, load_params, parse
from tunegate.repository.revisions import Repository

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
COURSE = "step,loss,valid_loss\n1,3.0,2.0\n2,2.0,\n3,1.0,1.5\n4,0.5,1.75\n"


def selecting(select: str) -> Params:
    return PARAMS.model_copy(update={"train": PARAMS.train.model_copy(update={"select": select})})


def value(project: Path, metric: str, params: Params = PARAMS) -> float:
    return measure(project, Objective(metric=metric), params)


def test_the_validation_loss_is_that_of_the_weights_that_are_kept(tmp_path: Path) -> None:
    write_text(tmp_path / "models/trajectory.csv", COURSE)
    assert losses_of(tmp_path) == [2.0, 1.5, 1.75]
    assert value(tmp_path, "valid_loss", selecting("last")) == 1.75
    assert value(tmp_path, "valid_loss", selecting("best")) == 1.5
    write_text(tmp_path / "models/trajectory.csv", "step,loss\n1,3.0\n")
    with pytest.raises(InputError, match="no loss on the validation rows") as caught:
        value(tmp_path, "valid_loss")
    assert caught.value.place == "objectives: models/trajectory.csv"


def test_parameters_and_bytes_are_counted_in_what_was_made(tmp_path: Path) -> None:
    head = json.dumps({"__metadata__": {"format": "pt"}, "a": {"shape": [8, 4]}, "b": {"shape": [3]}}).encode()
    for name in ("adapter/model.safetensors", "adapter/copy.bin", "package/deep/model.gguf"):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(len(head).to_bytes(8, "little") + head)
    assert value(tmp_path, "trainable_parameters") == 35
    assert value(tmp_path, "package_bytes") == 8 + len(head)


def test_a_metric_is_a_number_of_the_reports_by_its_path_or_short_name(tmp_path: Path) -> None:
    write_json(tmp_path / "reports/metrics.json", {"tuned": {"accuracy": 0.75}})
    timings = {"tuned": {"p95_seconds": 0.3}, "train": {"seconds": 100.0, "peak_memory_bytes": 7}}
    write_json(tmp_path / "reports/timings.json", timings)
    assert value(tmp_path, "tuned.accuracy") == 0.75
    assert value(tmp_path, "timings.train.peak_memory_bytes") == 7
    assert (value(tmp_path, "latency"), value(tmp_path, "minutes")) == (0.3, 1.6667)
    with pytest.raises(InputError) as caught:
        value(tmp_path, "timings.train.tokens")
    assert caught.value.place == "objectives: timings.train.tokens"
    assert "timings.json" in caught.value.remedy


def test_the_losses_so_far_are_those_of_the_longest_checkpoint_and_a_half_written_one_is_skipped(
    tmp_path: Path,
) -> None:
    assert losses_so_far(tmp_path) == []
    folder = tmp_path / ".tunegate/checkpoint"
    for name, losses in (("a", [2.0]), ("b", [2.0, None, 1.0])):
        write_json(folder / name / "run.json", {"records": [{"valid_loss": loss} for loss in losses] + [{"loss": 1.0}]})
    write_text(folder / "c/run.json", '{"records": [{"valid_')
    assert losses_so_far(tmp_path) == [2.0, 1.0]


def test_the_package_is_made_only_where_its_size_is_an_objective() -> None:
    assert stages_for((Objective(), Objective(metric="tuned.accuracy"))) == ["score"]
    assert stages_for((Objective(), Objective(metric="package_bytes"))) == ["score", "package"]


@pytest.mark.parametrize(("threads", "limits"), [(None, {}), (2, {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"})])
def test_a_trials_processes_upload_nothing_and_get_no_password(threads: int | None, limits: dict[str, str]) -> None:
    declared = {"space": {"train.rank": {"values": [8]}}, "threads": threads}
    search = parse(Search, declared, place="search.yaml", remedy="")
    context = SearchContext(Repository(Path(), ""), search, "s", "c" * 40, Path())
    assert context.environment == {"TUNEGATE_UPLOAD": "0", "PGPASSWORD": "", **limits}


def test_without_a_run_of_the_search_nothing_is_uploaded(tmp_path: Path) -> None:
    assert "already" in upload("s", tmp_path)
