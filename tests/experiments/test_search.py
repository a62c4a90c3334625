"""A search from end to end, on the project of tests/analytic_project.py: real git, real DVC, real Optuna storage."""

from pathlib import Path
from typing import Any

import pytest
from servers import postgres

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.experiments.search import Searcher, Workers, preview, run_search, search_context
from tunegate.experiments.search_results import Findings, proposal_of
from tunegate.experiments.storage import open_study, search_lock
from tunegate.experiments.trials import Trial
from tunegate.files import read_json, read_yaml
from tunegate.reporting.search_page import render_search
from tunegate.reporting.search_plots import front
from tunegate.repository.revisions import open_repository
from tunegate.tracking.outbox import read_records

SPACE = {
    "train.rank": {"values": [8, 16, 32]},
    "train.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
}


def searched(ended: list[Trial] | None = None, workers: Workers | None = None, **more: Any) -> Findings:
    declared = {"name": "s", "space": SPACE, "trials": 3, "batch": 2} | more
    context = search_context(open_repository(), declared)
    return run_search(context, workers or Workers(), (ended if ended is not None else []).append)


def test_the_same_search_gives_one_table_however_many_workers_and_from_its_journal(analytic_project: Path) -> None:
    ended: list[Trial] = []
    one = searched(ended, trials=2)
    assert [trial.number for trial in ended] == [0, 1]
    assert one.trials[0].diff == {}
    assert {trial.state for trial in one.trials} == {"complete"}
    two = searched(name="other", trials=2, workers=Workers(processes=2))
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
    findings = searched(trials=2, objectives=[{"metric": "tuned.accuracy", "direction": "maximize"}])
    assert read_yaml(analytic_project / "params.yaml")["train"]["rank"] == 64
    assert run("git", "status", "--porcelain", cwd=analytic_project) == " M params.yaml\n"
    trial = findings.trials[1]
    record = read_json(analytic_project / ".tunegate/search/s/trials/1.json")
    assert record == trial.model_dump(mode="json")
    assert record["diff"]["train.learning_rate"]["before"] == 0.002
    runs = {each.id: each for each in read_records()}
    recorded = runs[trial.run]
    assert recorded.tags["tunegate.search"] == "s"
    assert recorded.tags["tunegate.trial"] == "1"
    assert recorded.params["train.learning_rate"] == str(trial.params["train.learning_rate"])
    assert (recorded.dirty, runs[findings.trials[0].run].dirty) == (True, False)
    assert not list((analytic_project / ".tunegate/search/s/checkouts").iterdir())
    assert findings.best == [max(findings.trials, key=lambda trial: trial.values["tuned.accuracy"]).number]


def test_a_trial_can_fail_at_its_check_or_in_a_stage_and_says_why(analytic_project: Path) -> None:
    findings = searched(space={"train.rank": {"values": [8, 0, 64]}}, sampler="grid", batch=3)
    assert [trial.state for trial in findings.trials] == ["complete", "failed", "failed"]
    assert findings.trials[1].reason == "params.yaml: train.rank: must be greater than or equal to 1 (got 0)"
    assert findings.trials[2].reason == "train: the loss is nan at step 3"
    assert "loss is nan" in (analytic_project / ".tunegate/search/s/logs/2.log").read_text()


def test_a_search_in_which_nothing_succeeds_stops_after_its_first_batch(analytic_project: Path) -> None:
    ended: list[Trial] = []
    with pytest.raises(InputError, match="every trial so far failed: params"):
        searched(ended, space={"train.rank": {"low": -9, "high": 0}}, trials=12)
    assert len(ended) == 2


def test_scores_on_other_test_rows_are_not_compared(analytic_project: Path) -> None:
    space = {"prepare.split_key": {"values": ["permit-helpdesk", "other"]}}
    findings = searched(space=space, sampler="grid")
    assert [trial.state for trial in findings.trials] == ["complete", "failed"]
    assert "other test rows" in findings.trials[1].reason


def test_a_hopeless_trial_is_stopped_while_it_runs(analytic_project: Path, run: Any) -> None:
    """The last of the grid is hopeless, and would train for minutes."""
    space = {"train.learning_rate": {"values": [0.01, 0.011, 0.012, 0.013, 0.0001]}}
    text = (analytic_project / "train.py").read_text()
    pause = "time.sleep(60 if loss > 3 and epoch > 1 else 0)"
    (analytic_project / "train.py").write_text(text.replace("time.sleep(float(pause.read_text()))", pause))
    run("git", "commit", "-qam", "A hopeless training takes long", cwd=analytic_project)
    findings = searched(space=space, sampler="grid", trials=5, batch=4, pruner="median")
    last = findings.trials[4]
    assert [trial.state for trial in findings.trials[:4]] == ["complete"] * 4
    assert last.state == "pruned"
    assert last.reason.startswith("stopped at measurement 2: validation loss 5.")
    assert len(last.course) == 2


def test_several_objectives_give_the_trials_that_no_other_beats(analytic_project: Path) -> None:
    objectives = [
        {"metric": "valid_loss", "direction": "minimize"},
        {"metric": "trainable_parameters", "direction": "minimize"},
    ]
    space = {"train.rank": {"values": [8, 16, 32]}}
    findings = searched(space=space, sampler="grid", objectives=objectives)
    assert [trial.values["trainable_parameters"] for trial in findings.trials] == [32, 64, 128]
    assert findings.best == [1, 0]


def test_score_size_and_time_are_sought_together_and_the_page_has_their_front(analytic_project: Path) -> None:
    """A rank of 32 is worse than 8 and larger; as fast are all."""
    metrics = {"tuned.accuracy": "maximize", "package_bytes": "minimize", "latency": "minimize", "minutes": "minimize"}
    objectives = [{"metric": metric, "direction": direction} for metric, direction in metrics.items()]
    findings = searched(space={"train.rank": {"values": [8, 16, 32]}}, sampler="grid", objectives=objectives)
    assert [trial.values["package_bytes"] for trial in findings.trials] == [800, 1600, 3200]
    assert {(trial.values["latency"], trial.values["minutes"]) for trial in findings.trials} == {(0.3, 1.5)}
    assert findings.best == [1, 0]
    page = render_search(findings)
    assert front(findings)
    assert front(findings) in page


def test_the_weight_of_a_source_is_searched_and_proposed(analytic_project: Path) -> None:
    findings = searched(space={"prepare.mixture.faq.weight": {"low": 1.0, "high": 2.0, "step": 0.5}}, sampler="grid")
    assert [trial.params["prepare.mixture.faq.weight"] for trial in findings.trials] == [1.0, 1.5, 2.0]
    losses = [trial.values["valid_loss"] for trial in findings.trials]
    assert losses == sorted(losses, reverse=True)
    assert len({trial.test_set for trial in findings.trials}) == 1
    context = search_context(open_repository(), {"name": "s", "space": SPACE})
    branch, diff = proposal_of(context, findings.trial(findings.best[0]))
    assert branch == "search/s"
    assert "+  mixture: {faq: {weight: 2.0}}\n" in diff


def test_another_search_under_the_same_name_is_refused_with_the_differences(analytic_project: Path) -> None:
    searched(trials=1)
    with pytest.raises(RefusedError, match="seed: 7 → 8"):
        searched(trials=1, seed=8)
    with search_lock(analytic_project / ".tunegate/search/s"), pytest.raises(MachineError, match="another process"):
        searched(trials=1)


def test_a_cut_journal_and_a_lock_that_a_kill_left_are_repaired(analytic_project: Path) -> None:
    findings = searched(trials=1)
    folder = analytic_project / ".tunegate/search/s"
    with (folder / "journal.log").open("a") as journal:
        journal.write('{"op_code":4,"worker')
    (folder / "journal.log.lock").symlink_to(folder / "journal.log")
    assert searched(trials=1).table == findings.table
    assert len(searched(trials=2).trials) == 2


def test_a_preview_shows_the_first_batch_and_runs_nothing(analytic_project: Path) -> None:
    context = search_context(open_repository(), {"space": {"train.rank": {"values": [8, 0]}}, "sampler": "grid"})
    assert list(preview(context)) == [
        ({"train.rank": 8}, ""),
        ({"train.rank": 0}, "params.yaml: train.rank: must be greater than or equal to 1 (got 0)"),
    ]
    assert not (analytic_project / ".tunegate").exists()


def test_machines_share_a_database_and_its_password_comes_from_the_environment(
    analytic_project: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "clone", "-q", str(analytic_project), str(tmp_path / "second"), cwd=tmp_path)
    with postgres() as url:
        workers = Workers(storage=url.replace("postgresql+psycopg", "postgresql"))
        one = searched(workers=workers, trials=2)
        ended: list[Trial] = []
        monkeypatch.chdir(tmp_path / "second")
        both = searched(ended, workers=workers, trials=4)
        assert [trial.number for trial in ended] == [2, 3]
        assert both.trials[:2] == one.trials
        assert both.elsewhere == []
        assert not (tmp_path / "second/.tunegate/search/s/journal.log").exists()


def test_trials_that_another_machine_left_are_run_by_a_machine_that_adopts_them(
    analytic_project: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "clone", "-q", str(analytic_project), str(tmp_path / "second"), cwd=tmp_path)
    with postgres() as address:
        url = address.replace("postgresql+psycopg", "postgresql")
        died = search_context(open_repository(), {"name": "s", "space": SPACE, "trials": 2, "batch": 2})
        with search_lock(died.folder), open_study(died.search, "s", died.commit, died.folder, url) as study:
            assert [trial.number for trial in Searcher(study, died, workers=1)._batch()] == [0, 1]
        monkeypatch.chdir(tmp_path / "second")
        ended: list[Trial] = []
        assert searched(ended, Workers(storage=url), trials=2).elsewhere == [0, 1]
        assert ended == []
        findings = searched(ended, Workers(storage=url, adopt=True), trials=2)
    assert [trial.number for trial in ended] == [0, 1]
    assert (findings.elsewhere, [trial.state for trial in findings.trials]) == ([], ["complete"] * 2)


def test_a_batch_of_which_a_kill_left_half_is_compared_with_earlier_batches_only(analytic_project: Path) -> None:
    """The last is hopeless compared with the others, but of their batch."""
    space = {"train.learning_rate": {"values": [0.01, 0.011, 0.012, 0.013, 0.0001]}}
    declared = {"name": "s", "space": space, "sampler": "grid", "trials": 5, "batch": 5, "pruner": "median"}
    context = search_context(open_repository(), declared)
    with search_lock(context.folder), open_study(context.search, "s", context.commit, context.folder) as study:
        searcher = Searcher(study, context, workers=2)
        searcher._tell(list(searcher._run(searcher._batch()[:4], [])))
        (last,) = searcher.run()
    assert (last.number, last.state) == (4, "complete")
