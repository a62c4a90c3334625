"""The gate from end to end on real git and DVC: what it compares, what it refuses to compare, what it tells."""

from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature, answers, predictions

from tunegate.cli.gate import as_text
from tunegate.errors import InputError, MachineError
from tunegate.files import read_yaml, write_text, write_yaml
from tunegate.gate.policy import FILE
from tunegate.gate.verdict import Verdict
from tunegate.repository.lock import dump_lock, parse_lock
from tunegate.review.evidence import open_evidence


@pytest.fixture
def proposed(miniature: Miniature) -> Miniature:
    """A branch with a model that answers 90 % correctly, where main's answers 70 %."""
    miniature.git("checkout", "-qb", "change")
    miniature.change(train__learning_rate=0.1)
    miniature.predict(predictions(answers(200, 0.9, seed=1)))
    miniature.commit("A better model")
    return miniature


def judge(miniature: Miniature, **options: Any) -> Verdict:
    with open_evidence(miniature.root, **options) as judged:
        return judged.verdict


def edit_policy(miniature: Miniature, **changes: Any) -> None:
    path = miniature.root / FILE
    write_yaml(path, read_yaml(path) | changes)


def metric(verdict: Verdict, name: str) -> Any:
    return next(metric for metric in verdict.metrics if metric.name == name)


def test_the_baseline_is_the_model_locked_at_the_merge_base(proposed: Miniature) -> None:
    fork = proposed.git("rev-parse", "main")
    proposed.git("checkout", "-q", "main")
    proposed.predict(predictions(answers(200, 0.99, seed=2)))
    proposed.commit("main moved on, and is now better than the change")
    proposed.git("checkout", "-q", "change")
    verdict = judge(proposed, base="main")
    assert (verdict.revisions.merge_base, verdict.outcome, verdict.rescored) == (fork, "pass", False)
    assert metric(verdict, "accuracy").baseline == pytest.approx(sum(answers(200, 0.7)) / 200)


def test_nothing_in_the_working_tree_is_touched_and_nothing_is_needed_from_it(proposed: Miniature) -> None:
    proposed.run("rm", "-rf", "models/predictions.parquet", "data/prepared", cwd=proposed.root)
    before = proposed.git("status", "--porcelain", "--ignored")
    assert judge(proposed, base="main").outcome == "pass"
    assert proposed.git("status", "--porcelain", "--ignored") == before


def test_a_worse_model_is_refused_and_the_same_commits_give_the_same_verdict(proposed: Miniature) -> None:
    proposed.predict(predictions(answers(200, 0.4, seed=1)))
    proposed.commit("A harmful change")
    verdict = judge(proposed, base="main")
    assert verdict.outcome == "refused"
    assert verdict == judge(proposed, base="main", head="change").model_copy(update={"revisions": verdict.revisions})


def test_a_change_that_touches_no_stage_is_unchanged_and_passes_in_three_lines(miniature: Miniature) -> None:
    # Fewer rows than the policy wants, all wrong: nothing that statistics could pass.
    miniature.predict(predictions(answers(40, 0.0)))
    miniature.commit("A poor model")
    miniature.git("checkout", "-qb", "typo")
    write_text(miniature.root / "README.md", "# Help desk\n")
    miniature.commit("A typo", repro=False)
    verdict = judge(miniature, base="main")
    assert (verdict.outcome, verdict.unchanged, verdict.reasons, verdict.slices) == ("pass", True, [], [])
    assert len(as_text(verdict).splitlines()) == 3
    write_text(miniature.root / "inputs/package/model.gguf", "another export")
    miniature.commit("The same answers, and another package")
    other = judge(miniature, base="main")
    assert (other.outcome == "pass", other.unchanged) == (False, False)
    miniature.git("reset", "-q", "--hard", "HEAD~1")
    miniature.change(train__seed=99)
    miniature.commit("The same answers by another model")
    other = judge(miniature, base="main")
    assert (other.outcome == "pass", other.unchanged) == (False, False)


def test_a_first_model_is_judged_by_the_floors(miniature: Miniature) -> None:
    first = miniature.git("rev-parse", "HEAD")
    miniature.git("checkout", "-q", "--orphan", "empty")
    miniature.git("rm", "-q", "--cached", "dvc.lock")
    tree = miniature.git("write-tree")
    root = miniature.git("commit-tree", tree, "-m", "Nothing ran yet")
    change = miniature.git("commit-tree", f"{first}^{{tree}}", "-p", root, "-m", "The first model")
    verdict = judge(miniature, base=root, head=change)
    assert verdict.outcome == "pass"
    assert metric(verdict, "accuracy").baseline is None


def test_the_policy_of_the_base_counts_and_its_edit_needs_approval(proposed: Miniature) -> None:
    edit_policy(proposed, min_rows=10_000)
    proposed.commit("Strange rules")
    verdict = judge(proposed, base="main")
    assert verdict.headline.startswith(f"Needs approval: {FILE} is edited by this change")
    assert verdict.exit_code == 4
    assert judge(proposed, base="main", approvals=["ada"]).exit_code == 0


def test_a_deleted_policy_does_not_free_the_change(proposed: Miniature) -> None:
    (proposed.root / FILE).unlink()
    proposed.commit("No rules")
    assert "deleted by this change" in judge(proposed, base="main").headline


def test_no_policy_anywhere_is_an_error(miniature: Miniature) -> None:
    (miniature.root / FILE).unlink()
    miniature.commit("No rules")
    with pytest.raises(InputError, match="no policy"):
        judge(miniature)


def test_a_typo_in_the_policy_is_named_with_its_commit(miniature: Miniature) -> None:
    edit_policy(miniature, alhpa=0.05)
    commit = miniature.commit("A typo")
    with pytest.raises(InputError, match="did you mean 'alpha'") as error:
        judge(miniature)
    assert error.value.place.startswith(commit[:12])


def test_other_parameters_of_evaluate_are_another_measurement(proposed: Miniature) -> None:
    with open_evidence(proposed.root, base="main") as judged:
        assert judged.baseline
    proposed.change(evaluate__max_new_tokens=2)
    proposed.commit("Measure differently")
    # The miniature's base is no network: that it is scored again shows in that it cannot be.
    with pytest.raises(Exception, match=r"(?i)config|model|tokenizer|lineage|safetensors"):
        judge(proposed, base="main")


def test_parameters_that_were_edited_but_not_run_change_nothing(proposed: Miniature) -> None:
    before = judge(proposed, base="main")
    proposed.change(evaluate__ignore_case=False)
    assert judge(proposed, base="main") == before


def test_another_pipeline_is_reported_and_needs_approval(proposed: Miniature) -> None:
    pipeline = read_yaml(proposed.root / "dvc.yaml")
    pipeline["stages"]["train"]["deps"].append("params.yaml")
    write_yaml(proposed.root / "dvc.yaml", pipeline)
    proposed.commit("Train on something else")
    verdict = judge(proposed, base="main")
    assert verdict.headline.startswith("Needs approval: ")
    assert "train" in verdict.headline


def test_a_branch_from_before_the_first_model_is_merged_before_it_is_judged(miniature: Miniature) -> None:
    first = miniature.git("rev-parse", "HEAD")
    miniature.git("rm", "-q", "--cached", "dvc.lock")
    tree = miniature.git("write-tree")
    root = miniature.git("commit-tree", tree, "-m", "Nothing ran yet")
    main = miniature.git("commit-tree", f"{first}^{{tree}}", "-p", root, "-m", "The first model")
    change = miniature.git("commit-tree", f"{first}^{{tree}}", "-p", root, "-m", "Another first model")
    with pytest.raises(InputError, match="the base has a model"):
        judge(miniature, base=main, head=change)


def test_every_model_measured_on_the_test_set_is_a_use(proposed: Miniature) -> None:
    assert judge(proposed, base="main").test_set.uses == 2
    for seed in (3, 4):
        proposed.predict(predictions(answers(200, 0.9, seed=seed)))
        proposed.commit(f"Try {seed}")
    assert judge(proposed, base="main").test_set.uses == 4
    edit_policy(proposed, test_set_budget=3)
    proposed.git("checkout", "-q", "-B", "main")
    proposed.commit("A small budget")
    proposed.git("checkout", "-qb", "again")
    proposed.predict(predictions(answers(200, 0.9, seed=5)))
    proposed.commit("Try 5")
    assert any("used 5 times" in reason.text for reason in judge(proposed, base="main").reasons)


def test_a_test_row_among_the_training_rows_is_refused_with_its_id(proposed: Miniature) -> None:
    question = predictions([True])["question"][0].as_py()
    proposed.train_on([question.upper(), "something else"])
    proposed.commit("A leak")
    verdict = judge(proposed, base="main")
    assert verdict.outcome == "refused"
    assert verdict.contamination == {"exact": ["row-00000 = train-0"]}


def test_a_project_outside_git_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a git repository"), open_evidence(tmp_path):
        pass


def test_two_branches_without_a_common_history_are_not_compared(proposed: Miniature) -> None:
    alone = proposed.git("commit-tree", "main^{tree}", "-m", "Out of nothing")
    with pytest.raises(InputError, match="no merge base") as error:
        judge(proposed, base="main", head=alone)
    assert "rebase the branch onto the base" in error.value.remedy


def test_a_shallow_clone_says_what_to_fetch(proposed: Miniature, tmp_path: Path) -> None:
    proposed.commit("One more", repro=False)
    source = f"file://{proposed.root}"
    proposed.run("git", "clone", "-q", "--depth", "1", "--no-single-branch", source, str(tmp_path / "ci"), cwd=tmp_path)
    with pytest.raises(InputError, match="no merge base") as error, open_evidence(tmp_path / "ci", base="origin/main"):
        pass
    assert "git fetch --unshallow" in error.value.remedy


def test_a_detached_head_is_judged_like_any_other(proposed: Miniature) -> None:
    proposed.git("checkout", "-q", "--detach")
    assert judge(proposed, base="main").outcome == "pass"


def test_a_wrong_revision_and_an_unlocked_base_are_named(proposed: Miniature) -> None:
    with pytest.raises(InputError, match="no such revision"):
        judge(proposed, base="mian")
    lock = (proposed.root / "dvc.lock").read_text()
    half = {name: entry for name, entry in parse_lock(lock, place="dvc.lock").items() if name != "evaluate"}
    proposed.git("checkout", "-q", "main")
    (proposed.root / "dvc.lock").write_text(dump_lock(half))
    proposed.commit("Half a lock", repro=False)
    proposed.git("checkout", "-q", "-B", "other")
    (proposed.root / "dvc.lock").write_text(lock)
    proposed.commit("A change", repro=False)
    with pytest.raises(InputError, match=r"it locks no models/predictions\.parquet"):
        judge(proposed, base="main")


def test_a_remote_that_does_not_answer_ends_clearly(proposed: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunegate.repository.remote.PAUSE_SECONDS", 0.01)
    proposed.run("dvc", "remote", "add", "-d", "store", "http://127.0.0.1:1/store", cwd=proposed.root)
    proposed.run("rm", "-rf", ".dvc/cache/files", cwd=proposed.root)
    with pytest.raises((InputError, MachineError), match=r"remote"):
        judge(proposed, base="main")


def test_half_written_predictions_are_an_error(proposed: Miniature) -> None:
    path = proposed.root / "inputs/adapter/predictions.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    proposed.commit("Half written")
    with pytest.raises(InputError, match="not a complete Parquet file"):
        judge(proposed, base="main")
