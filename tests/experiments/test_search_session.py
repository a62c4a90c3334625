"""A search from end to end, on the project of tests/analytic_project.py: real git, real DVC, real Optuna storage."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from servers import postgres

from tunegate.errors import InputError, MachineError, RefusedError, UsageError
from tunegate.experiments.declaration import Search
from tunegate.experiments.sampler import choose
from tunegate.experiments.search import Searcher
from tunegate.experiments.search_results import Findings, proposal_of
from tunegate.experiments.search_session import Machines, conduct, rehearse, setting_of
from tunegate.experiments.storage import open_study, sole_searcher
from tunegate.experiments.trials import Trial
from tunegate.files import read_json, read_yaml
from tunegate.params import parse
from tunegate.reporting.search_page import render_search
from tunegate.reporting.search_plots import front
from tunegate.repository.revisions import open_repository
from tunegate.tracking.outbox import read_records

SPACE = {
    "train.rank": {"values": [8, 16, 32]},
    "train.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
}


def searched(seen: list[Trial] | None = None, machines: Machines | None = None, **more: Any) -> Findings:
    declared = {"name": "s", "space": SPACE, "trials": 3, "batch": 2} | more
    setting = setting_of(open_repository(), declared)
    return conduct(setting, machines or Machines(), (seen if seen is not None else []).append)


def test_the_same_search_gives_one_table_however_many_workers_and_from_its_journal(analytic_project: Path) -> None:
    seen: list[Trial] = []
    one = searched(seen, trials=2)
    assert [trial.number for trial in seen] == [0, 1]
    assert one.trials[0].diff == {}
    assert {trial.state for trial in one.trials} == {"complete"}
    two = searched(name="other", trials=2, machines=Machines(workers=2))
    assert two.table == one.table
    assert [trial.params for trial in two.trials] == [trial.params for trial in one.trials]
    again: list[Trial] = []
    assert searched(again, trials=2).table == one.table
    assert again == []
    more = searched(again)
    assert [trial.number for trial in again] == [2]
    assert more.trials[:2] == one.trials


def test_a_trial_is_a_record_and_a_run_and_leaves_the_working_tree_alone(analytic_project: Path, run: Any) -> None:
    params = (analytic_project / "params.yaml").read_text()
    (analytic_project / "params.yaml").write_text(params.replace("rank: 8", "rank: 64"))  # not committed: no part of it
    found = searched(trials=2, objectives=[{"metric": "tuned.accuracy", "direction": "maximize"}])
    assert read_yaml(analytic_project / "params.yaml")["train"]["rank"] == 64
    assert run("git", "status", "--porcelain", cwd=analytic_project) == " M params.yaml\n"
    trial = found.trials[1]
    record = read_json(analytic_project / ".tunegate/search/s/trials/1.json")
    assert record == trial.model_dump(mode="json")
    assert record["diff"]["train.learning_rate"]["before"] == 0.002
    runs = {made.id: made for made in read_records()}
    made = runs[trial.run]
    assert made.tags["tunegate.search"] == "s"
    assert made.tags["tunegate.trial"] == "1"
    assert made.params["train.learning_rate"] == str(trial.params["train.learning_rate"])
    assert (made.dirty, runs[found.trials[0].run].dirty) == (True, False)
    assert not list((analytic_project / ".tunegate/search/s/checkouts").iterdir())
    assert found.best == [max(found.trials, key=lambda trial: trial.values["tuned.accuracy"]).number]


def test_a_trial_can_fail_at_its_check_or_in_a_stage_and_says_why(analytic_project: Path) -> None:
    found = searched(space={"train.rank": {"values": [8, 0, 64]}}, sampler="grid", batch=3)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "failed"]
    assert found.trials[1].reason == "params.yaml: train.rank: must be greater than or equal to 1 (got 0)"
    assert found.trials[2].reason == "train: the loss is nan at step 3"
    assert "loss is nan" in (analytic_project / ".tunegate/search/s/logs/2.log").read_text()


def test_a_search_in_which_nothing_succeeds_stops_after_its_first_batch(analytic_project: Path) -> None:
    seen: list[Trial] = []
    with pytest.raises(InputError, match="every trial so far failed: params"):
        searched(seen, space={"train.rank": {"low": -9, "high": 0}}, trials=12)
    assert len(seen) == 2


def test_scores_on_other_test_rows_are_not_compared(analytic_project: Path) -> None:
    space = {"prepare.split_key": {"values": ["permit-helpdesk", "other"]}}
    found = searched(space=space, sampler="grid")
    assert [trial.state for trial in found.trials] == ["complete", "failed"]
    assert "other test rows" in found.trials[1].reason


def test_a_hopeless_trial_is_stopped_while_it_runs(analytic_project: Path, run: Any) -> None:
    """The last of the grid is hopeless, and would train for minutes."""
    space = {"train.learning_rate": {"values": [0.01, 0.011, 0.012, 0.013, 0.0001]}}
    text = (analytic_project / "train.py").read_text()
    pause = "time.sleep(60 if loss > 3 and epoch > 1 else 0)"
    (analytic_project / "train.py").write_text(text.replace("time.sleep(float(pause.read_text()))", pause))
    run("git", "commit", "-qam", "A hopeless training takes long", cwd=analytic_project)
    found = searched(space=space, sampler="grid", trials=5, batch=4, pruner="median")
    last = found.trials[4]
    assert [trial.state for trial in found.trials[:4]] == ["complete"] * 4
    assert last.state == "pruned"
    assert last.reason.startswith("stopped at measurement 2: validation loss 5.")
    assert len(last.course) == 2


def test_several_objectives_give_the_trials_that_no_other_beats(analytic_project: Path) -> None:
    objectives = [
        {"metric": "valid_loss", "direction": "minimize"},
        {"metric": "trainable_parameters", "direction": "minimize"},
    ]
    space = {"train.rank": {"values": [8, 16, 32]}}
    found = searched(space=space, sampler="grid", objectives=objectives)
    assert [trial.values["trainable_parameters"] for trial in found.trials] == [32, 64, 128]
    assert found.best == [1, 0]


def test_score_size_and_time_are_sought_together_and_the_page_has_their_front(analytic_project: Path) -> None:
    """A rank of 32 is worse than 8 and larger; as fast are all."""
    metrics = {"tuned.accuracy": "maximize", "package_bytes": "minimize", "latency": "minimize", "minutes": "minimize"}
    objectives = [{"metric": metric, "direction": direction} for metric, direction in metrics.items()]
    found = searched(space={"train.rank": {"values": [8, 16, 32]}}, sampler="grid", objectives=objectives)
    assert [trial.values["package_bytes"] for trial in found.trials] == [800, 1600, 3200]
    assert {(trial.values["latency"], trial.values["minutes"]) for trial in found.trials} == {(0.3, 1.5)}
    assert found.best == [1, 0]
    page = render_search(found)
    assert front(found)
    assert front(found) in page


def test_the_weight_of_a_source_is_searched_and_proposed(analytic_project: Path) -> None:
    found = searched(space={"prepare.mixture.faq.weight": {"low": 1.0, "high": 2.0, "step": 0.5}}, sampler="grid")
    assert [trial.params["prepare.mixture.faq.weight"] for trial in found.trials] == [1.0, 1.5, 2.0]
    losses = [trial.values["valid_loss"] for trial in found.trials]
    assert losses == sorted(losses, reverse=True)
    assert len({trial.test_set for trial in found.trials}) == 1
    setting = setting_of(open_repository(), {"name": "s", "space": SPACE})
    branch, diff = proposal_of(setting, found.trial(found.best[0]))
    assert branch == "search/s"
    assert "+  mixture: {faq: {weight: 2.0}}\n" in diff


def test_another_search_under_the_same_name_is_refused_with_the_differences(analytic_project: Path) -> None:
    searched(trials=1)
    with pytest.raises(RefusedError, match="seed: 7 → 8"):
        searched(trials=1, seed=8)
    with sole_searcher(analytic_project / ".tunegate/search/s"), pytest.raises(MachineError, match="another process"):
        searched(trials=1)


def test_a_cut_journal_and_a_lock_that_a_kill_left_are_mended(analytic_project: Path) -> None:
    found = searched(trials=1)
    folder = analytic_project / ".tunegate/search/s"
    with (folder / "journal.log").open("a") as journal:
        journal.write('{"op_code":4,"worker')
    (folder / "journal.log.lock").symlink_to(folder / "journal.log")
    assert searched(trials=1).table == found.table
    assert len(searched(trials=2).trials) == 2


def test_a_rehearsal_shows_the_first_batch_and_runs_nothing(analytic_project: Path) -> None:
    setting = setting_of(open_repository(), {"space": {"train.rank": {"values": [8, 0]}}, "sampler": "grid"})
    assert list(rehearse(setting)) == [
        ({"train.rank": 8}, ""),
        ({"train.rank": 0}, "params.yaml: train.rank: must be greater than or equal to 1 (got 0)"),
    ]
    assert not (analytic_project / ".tunegate").exists()


def test_machines_share_a_database_and_its_password_comes_from_the_environment(
    analytic_project: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "clone", "-q", str(analytic_project), str(tmp_path / "second"), cwd=tmp_path)
    with postgres() as url:
        machines = Machines(storage=url.replace("postgresql+psycopg", "postgresql"))
        one = searched(machines=machines, trials=2)
        seen: list[Trial] = []
        monkeypatch.chdir(tmp_path / "second")
        both = searched(seen, machines=machines, trials=4)
        assert [trial.number for trial in seen] == [2, 3]
        assert both.trials[:2] == one.trials
        assert both.elsewhere == []
        assert not (tmp_path / "second/.tunegate/search/s/journal.log").exists()


def test_machines_that_choose_at_the_same_time_choose_different_trials(tmp_path: Path) -> None:
    search = parse(Search, {"space": SPACE, "sampler": "random"}, place="", remedy="")
    start = threading.Barrier(3)

    def machine(number: int, url: str) -> None:
        with open_study(search, "s", "c" * 40, tmp_path / str(number), url) as study:
            start.wait(60)
            for _ in range(4):
                choose(study, search, {}, {})

    with postgres() as address:
        url = address.replace("postgresql+psycopg", "postgresql")
        with open_study(search, "s", "c" * 40, tmp_path, url) as study:
            with ThreadPoolExecutor(3) as machines:
                for done in [machines.submit(machine, number, url) for number in range(3)]:
                    done.result(120)
            trials = study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(12))
    alone = optuna.create_study(direction="minimize")
    for _ in range(12):
        choose(alone, search, {}, {})
    assert [trial.params for trial in trials] == [trial.params for trial in alone.get_trials()]


def test_what_another_machine_left_is_run_by_who_adopts_it(
    analytic_project: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "clone", "-q", str(analytic_project), str(tmp_path / "second"), cwd=tmp_path)
    with postgres() as address:
        url = address.replace("postgresql+psycopg", "postgresql")
        died = setting_of(open_repository(), {"name": "s", "space": SPACE, "trials": 2, "batch": 2})
        with sole_searcher(died.folder), open_study(died.search, "s", died.commit, died.folder, url) as study:
            assert [trial.number for trial in Searcher(study, died, workers=1)._batch()] == [0, 1]
        monkeypatch.chdir(tmp_path / "second")
        seen: list[Trial] = []
        assert searched(seen, Machines(storage=url), trials=2).elsewhere == [0, 1]
        assert seen == []
        found = searched(seen, Machines(storage=url, adopt=True), trials=2)
    assert [trial.number for trial in seen] == [0, 1]
    assert (found.elsewhere, [trial.state for trial in found.trials]) == ([], ["complete"] * 2)


def test_a_batch_that_a_kill_left_half_told_is_compared_with_earlier_batches_only(analytic_project: Path) -> None:
    """The last is hopeless beside the others, but of their batch."""
    space = {"train.learning_rate": {"values": [0.01, 0.011, 0.012, 0.013, 0.0001]}}
    declared = {"name": "s", "space": space, "sampler": "grid", "trials": 5, "batch": 5, "pruner": "median"}
    setting = setting_of(open_repository(), declared)
    with sole_searcher(setting.folder), open_study(setting.search, "s", setting.commit, setting.folder) as study:
        searcher = Searcher(study, setting, workers=2)
        searcher._tell(list(searcher._run(searcher._batch()[:4], [])))
        (last,) = searcher.run()
    assert (last.number, last.state) == (4, "complete")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://me:s3cret@db/x", "a password in the URL"),
        ("mysql://me@db/x", "not the URL of a PostgreSQL database"),
    ],
)
def test_a_storage_with_a_password_in_its_url_or_of_another_kind_is_refused(
    analytic_project: Path, url: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        searched(machines=Machines(storage=url))
    assert "s3cret" not in str(caught.value)


def test_a_database_that_is_away_is_a_machine_error_without_its_url(analytic_project: Path) -> None:
    with pytest.raises(MachineError, match=r"--storage 127\.0\.0\.1") as caught:
        searched(machines=Machines(storage="postgresql://me@127.0.0.1:1/x"))
    assert "postgresql://" not in str(caught.value)
