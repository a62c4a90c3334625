import dataclasses

import pytest
from lock_branches import merge_line_by_line, two_branches
from miniature import Miniature, answers, predictions
from verdicts import verdict

from tunegate.files import read_text, read_yaml, write_text, write_yaml
from tunegate.gate.verdict import Level, Outcome, Reason
from tunegate.review.forges.interface import Change, State
from tunegate.review.publication import Publication, publication_of, state_of
from tunegate.tables import read_parquet, write_parquet


def change(made: Miniature, base: str = "main", head: str = "HEAD") -> Change:
    commits = [made.git("rev-parse", name) for name in (base, head)]
    return Change(7, "main", commits[0], "tune", commits[1], "firm/desk", False, "ada", "main")


def published(made: Miniature, *approvals: str, fork: bool = False, rescore: int = 0) -> Publication:
    asked = dataclasses.replace(change(made), is_fork=fork)
    return publication_of(asked, approvals, rescore=rescore, root=made.root)


@pytest.fixture
def better(miniature: Miniature) -> Miniature:
    """On the branch `tune`, a model that answers nine rows of ten, run and committed."""
    miniature.git("checkout", "-qb", "tune")
    miniature.predict(predictions(answers(200, 0.9, seed=3)))
    miniature.change(train__learning_rate=0.1)
    miniature.commit("Better")
    return miniature


@pytest.mark.parametrize(
    ("outcome", "levels", "state"),
    [
        ("pass", ["warning", "note"], "success"),
        ("refused", ["refused", "approval"], "failure"),
        ("inconclusive", ["inconclusive", "approval"], "failure"),
        ("inconclusive", ["approval", "note"], "pending"),
    ],
)
def test_only_what_waits_for_a_person_is_pending(outcome: Outcome, levels: list[Level], state: State) -> None:
    reasons = [Reason(level=level, text="x") for level in levels]
    assert state_of(verdict(outcome=outcome, reasons=reasons, headline="words")) == (state, "words")


def test_a_better_model_passes_with_its_report(better: Miniature) -> None:
    before = better.git("status", "--porcelain", "--branch")
    found = published(better)
    assert (found.state, found.touches_model) == ("success", True)
    assert found.description.startswith("Pass: ")
    assert "learning" in found.markdown, "the report tells what changed"
    assert better.git("status", "--porcelain", "--branch") == before


def test_a_worse_model_fails_with_its_report(miniature: Miniature) -> None:
    miniature.git("checkout", "-qb", "tune")
    miniature.predict(predictions(answers(200, 0.2)))
    miniature.change(train__learning_rate=0.9)
    miniature.commit("Worse")
    found = published(miniature)
    assert (found.state, found.description.partition(":")[0]) == ("failure", "Refused")


def test_a_change_that_leaves_the_model_alone_passes_and_scores_nothing_again(miniature: Miniature) -> None:
    miniature.git("checkout", "-qb", "tune")
    write_text(miniature.root / "docs/note.md", "words\n")
    miniature.commit("Words", repro=False)
    found = published(miniature, rescore=4)
    assert (found.state, found.touches_model) == ("success", False)


def test_the_claim_of_a_changed_model_is_scored_again(better: Miniature) -> None:
    found = published(better, rescore=4)
    assert found.state == "error", "these files are no model: only an attempt to load them can say so"
    assert "adapter/lineage.json: no such file" in found.description


@pytest.fixture
def irreproducible(better: Miniature) -> Miniature:
    """The first model of a project, whose claim is about fewer rows than its test set has: no network is needed."""
    better.git("checkout", "-q", "main")
    better.git("rm", "-q", "dvc.lock")
    dvc = read_yaml(better.root / "dvc.yaml")
    dvc["stages"]["evaluate"]["deps"] += ["src/scoring.py", "requirements/pipeline.txt"]
    write_yaml(better.root / "dvc.yaml", dvc)
    write_text(better.root / "src/scoring.py", "how = 1\n")
    better.commit("No model yet", repro=False)
    better.git("checkout", "-qB", "tune")
    return better


def claim(made: Miniature) -> None:
    made.predict(predictions(answers(200, 0.9, seed=3)))
    rows = read_parquet(made.root / "inputs/prepared/test.parquet")
    write_parquet(made.root / "inputs/prepared/test.parquet", rows.slice(1))
    made.commit("A claim")


def test_a_claim_that_does_not_reproduce_is_refused(irreproducible: Miniature) -> None:
    claim(irreproducible)
    found = published(irreproducible, "grace", rescore=4)
    assert (found.state, "the test set has 199" in found.description) == ("failure", True)


def test_a_claim_that_only_its_own_code_reproduces_waits_for_an_approval(irreproducible: Miniature) -> None:
    path = "src/scoring.py"
    write_text(irreproducible.root / path, "# another\n")
    claim(irreproducible)
    found = published(irreproducible, rescore=4)
    assert (found.state, found.description[:9]) == ("pending", "The claim")
    assert "answers to 200 rows, but the test set has 199" in found.markdown
    assert f"{path}): needs approval" in found.markdown
    found = published(irreproducible, "grace", rescore=4)
    assert (found.state, "approved by grace" in found.markdown) == ("success", True)


def test_a_run_that_is_still_to_be_made_is_waited_for(miniature: Miniature) -> None:
    miniature.git("checkout", "-qb", "tune")
    miniature.change(train__learning_rate=0.1)
    miniature.commit("Not run", repro=False)
    waiting = published(miniature)
    assert (waiting.state, "train, score" in waiting.description) == ("pending", True)
    found = published(miniature, fork=True)
    assert (found.state, "a maintainer has to run this" in found.description) == ("pending", True)


def test_an_entry_that_no_run_made_is_refused_by_name(better: Miniature) -> None:
    better.run("rm", "-rf", ".dvc/cache/runs", cwd=better.root)
    found = published(better)
    assert found.state == "failure"
    assert found.description.startswith("dvc.lock: not proven: ")
    assert "train: no such run" in found.description


def test_a_merge_that_would_lock_a_run_that_never_was_is_refused_before_it(miniature: Miniature) -> None:
    two_branches(miniature)
    merge_line_by_line(miniature)
    found = published(miniature)
    assert found.state == "failure"
    assert "train: no such run" in found.description


def test_a_conflict_with_the_base_is_refused_with_its_file(miniature: Miniature) -> None:
    two_branches(miniature)
    found = published(miniature)
    assert (found.state, "merge conflicts in dvc.lock" in found.description) == ("failure", True)


def test_a_lost_output_is_an_error_and_of_a_fork_something_to_wait_for(better: Miniature) -> None:
    better.run("rm", "-rf", ".dvc/cache/files", "models/predictions.parquet", cwd=better.root)
    found = published(better)
    assert (found.state, "not in DVC's cache" in found.description) == ("error", True)
    assert published(better, fork=True).state == "pending"


def test_an_edited_policy_waits_for_an_approval(miniature: Miniature) -> None:
    miniature.git("checkout", "-qb", "tune")
    policy = miniature.root / "policy/gate.yaml"
    write_text(policy, read_text(policy) + "# eased\n")
    miniature.commit("Policy", repro=False)
    assert published(miniature).state == "pending"
    assert published(miniature, "grace").state == "success"
