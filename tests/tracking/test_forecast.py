import json
from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature

from tunegate.files import write_text
from tunegate.models.cost import Cost, TrainCost
from tunegate.params import load_params
from tunegate.repository.revisions import open_repository
from tunegate.tracking.forecast import TIMINGS, Record, forecast, read_records

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").model_dump(by_alias=True)
LEDGER = {
    "stages": [
        {"stage": "prepare", "notes": {"split: test": 200}},
        {"stage": "tokenize", "notes": {"train_tokens_out": 10_000}},
    ]
}
LAPTOP, SERVER = "a processor, 2 threads", "another processor, 64 threads"


def changed(**params: Any) -> dict[str, Any]:
    """The parameters with some others: `train__rank=8`."""
    values = json.loads(json.dumps(PARAMS))
    for name, value in params.items():
        section, key = name.split("__")
        values[section][key] = value
    return dict(values)


def record(rate: float, *, hardware: str = LAPTOP, memory: int = 2_000_000_000, **params: Any) -> Record:
    """A run that trained on `rate` tokens a second, and answered a row a second."""
    tokens = 1000
    train = TrainCost(
        hardware=hardware, seconds=tokens / rate, peak_memory_bytes=memory, tokens=tokens, steps=4, resumed=False
    )
    evaluate = Cost(hardware=hardware, seconds=100.0 + rate / 1000, peak_memory_bytes=memory)
    return Record(changed(**params), 100, train, evaluate)


def test_time_is_the_work_over_the_median_rate_of_the_recorded_runs() -> None:
    records = [record(100), record(400), record(200)]
    train, evaluate = forecast(PARAMS, LEDGER, records, ["train", "evaluate", "score"])
    assert (train.amount, train.seconds) == (40_000, 200.0), "10,000 tokens, 4 epochs, 200 tokens a second"
    assert (train.peak_memory_bytes, train.hardware, train.runs, train.notes) == (2_000_000_000, LAPTOP, 3, ())
    assert evaluate.amount == 200
    assert evaluate.seconds == pytest.approx(200, rel=0.01)


def test_what_does_not_run_has_no_forecast() -> None:
    assert forecast(PARAMS, LEDGER, [record(100)], ["score"]) == []
    assert [cost.stage for cost in forecast(PARAMS, LEDGER, [record(100)], ["evaluate"])] == ["evaluate"]


def test_more_epochs_are_more_tokens_and_no_reason_for_doubt() -> None:
    (train,) = forecast(changed(train__epochs=8), LEDGER, [record(100)], ["train"])
    assert (train.amount, train.seconds, train.notes) == (80_000, 800.0, ())


def test_only_the_hardware_of_the_newest_run_counts() -> None:
    (train,) = forecast(PARAMS, LEDGER, [record(100), record(900, hardware=SERVER), record(120)], ["train"])
    assert (train.seconds, train.hardware, train.runs) == (pytest.approx(40_000 / 110), LAPTOP, 2)


def test_ten_runs_are_enough_and_one_run_counts_once() -> None:
    many = [record(100), record(100), *(record(100 + n / 7) for n in range(1, 30))]
    (train,) = forecast(PARAMS, LEDGER, many, ["train"])
    assert train.runs == 10


def test_runs_of_other_settings_are_used_where_there_are_no_better_and_it_is_said() -> None:
    other = record(400, base__model="small")
    (train,) = forecast(PARAMS, LEDGER, [other], ["train"])
    assert train.seconds == 100.0
    assert train.notes == (f"rough: recorded with base.model small, now {PARAMS['base']['model']}",)
    (train,) = forecast(PARAMS, LEDGER, [other, record(100)], ["train"])
    assert (train.seconds, train.notes) == (400.0, ())


def test_without_a_run_on_the_device_nothing_is_known_but_the_work() -> None:
    (train,) = forecast(changed(train__device="cuda"), LEDGER, [record(100)], ["train"])
    assert (train.amount, train.seconds, train.peak_memory_bytes, train.runs) == (40_000, None, None, 0)
    assert train.notes == ("not recorded on cuda",)


def test_without_a_ledger_the_work_is_that_of_the_newest_run() -> None:
    train, evaluate = forecast(changed(train__epochs=8), {}, [record(100)], ["train", "evaluate"])
    assert (train.amount, evaluate.amount) == (2000, 100)
    assert "as many as in the newest run" in train.notes[0]
    (train,) = forecast(PARAMS, {}, [], ["train"])
    assert (train.amount, train.seconds) == (None, None)


def test_rows_that_will_be_made_anew_are_said_to_be_counted_before() -> None:
    (train,) = forecast(PARAMS, LEDGER, [record(100)], ["prepare", "tokenize", "train"])
    assert train.notes == ("counted before the stages that make the rows run again",)


def test_a_run_without_seconds_gives_no_rate() -> None:
    empty = record(100).train.model_copy(update={"seconds": 0.0})
    (train,) = forecast(PARAMS, LEDGER, [Record(PARAMS, 100, empty, record(1).evaluate)], ["train"])
    assert (train.seconds, train.runs) == (None, 0)


def test_records_come_from_the_history_of_a_revision_the_newest_first(miniature: Miniature) -> None:
    for seconds in (20.0, 40.0):
        miniature.spend(seconds=seconds)
        miniature.commit("Another run")
    repository = open_repository(miniature.root)
    assert [forecasts.train.seconds for forecasts in read_records(repository, "HEAD")] == [40.0, 20.0, 10.0]
    assert [forecasts.train.seconds for forecasts in read_records(repository, "HEAD~1")] == [20.0, 10.0]
    newest = read_records(repository, "HEAD")[0]
    assert (newest.rows, newest.evaluate.hardware, newest.params["train"]["rank"]) == (200, LAPTOP, 16)


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": 3, "tuned": {}}', '{"rows": null, "train": {}, "evaluate": {}}'])
def test_a_commit_whose_timings_are_of_another_layout_records_nothing(miniature: Miniature, text: str) -> None:
    write_text(miniature.root / TIMINGS, text)
    miniature.commit("An older layout", repro=False)
    assert [forecasts.train.seconds for forecasts in read_records(open_repository(miniature.root), "HEAD")] == [10.0]
