import dataclasses

from miniature import Miniature, answers, predictions
from verdicts import evidence_of

from tunegate.reporting.changes import changes_of


def test_everything_that_differs_is_gathered(miniature: Miniature) -> None:
    miniature.predict(predictions(answers(200, 0.8, seed=4)))
    miniature.change(train__learning_rate=0.1)
    miniature.commit("Better")
    with evidence_of(miniature.root, "HEAD~1", "HEAD") as evidence:
        changes = changes_of(evidence)
    assert [change.key for change in changes.files[0].changes] == ["train.learning_rate"]
    assert (len(changes.examples), len(changes.trajectories[0]), bool(changes.confusions)) == (200, 2, True)
    assert {change.outcome for change in changes.examples} == {"broken", "fixed", "wrong", "right"}


def test_of_a_first_model_there_is_only_the_candidate(miniature: Miniature) -> None:
    with evidence_of(miniature.root, "HEAD", "HEAD") as evidence:
        first = dataclasses.replace(evidence, baseline=None, baseline_predictions=None)
        changes = changes_of(first)
    assert (changes.files, changes.packages, changes.others, changes.trajectories[0]) == ([], [], {}, [])
    assert {change.outcome for change in changes.examples} == {"new"}


def test_a_baseline_that_was_scored_again_is_shown_as_the_gate_scored_it(miniature: Miniature) -> None:
    with evidence_of(miniature.root, "HEAD", "HEAD") as evidence:
        table = predictions([False] * 200)
        rows = [row | {"base_answer": None, "base_correct": None, "base_nll": None, "base_seconds": None}
                for row in table.to_pylist()]  # fmt: skip
        again = dataclasses.replace(evidence, baseline_predictions=table.from_pylist(rows, schema=table.schema))
        assert not any(change.before_correct for change in changes_of(again).examples)
