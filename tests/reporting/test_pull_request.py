import dataclasses

from miniature import Miniature, answers, predictions
from verdicts import evidence_of

from tunegate.gate.verdict import Reason
from tunegate.reporting.pull_request import Proof, proofs_shown, pull_request_of
from tunegate.repository.proof import NOT_RUN_AGAIN, StageProof


def test_the_headline_is_split_and_no_reason_is_shown_twice(miniature: Miniature) -> None:
    with evidence_of(miniature.root, "HEAD", "HEAD") as evidence:
        report = pull_request_of(evidence)
    assert (report.word, report.sentence) == ("Pass, with 1 warning", "Accuracy rose by 5.0 points")
    assert [reason.text for reason in report.reasons] == ["the answers are slow"]
    assert len(report.notes) == 1


def test_a_headline_without_a_word_gets_the_outcome(miniature: Miniature) -> None:
    reason = Reason(level="refused", text="x")
    for headline in ("all of it", f"{'long ' * 20}: rest"):
        with evidence_of(
            miniature.root, "HEAD", "HEAD", outcome="refused", headline=headline, reasons=[reason]
        ) as evidence:
            report = pull_request_of(evidence)
        assert (report.word, report.sentence) == ("Refused", headline)


def test_the_first_model_has_no_baseline_to_show(miniature: Miniature) -> None:
    with evidence_of(miniature.root, "HEAD", "HEAD", slices=[]) as evidence:
        report = pull_request_of(dataclasses.replace(evidence, baseline=None, baseline_predictions=None))
    assert (report.first, report.counts["new"], report.matrices[0], report.slices) == (True, 200, "", {})


def test_a_slice_that_repeats_the_label_is_no_filter(miniature: Miniature) -> None:
    table = predictions(answers(200, 0.7))
    rows = table.to_pylist()
    for row in rows:
        row["slices"] = [*row["slices"], ("desk", row["label"])]
    miniature.predict(table.from_pylist(rows, schema=table.schema))
    miniature.commit("Desks")
    with evidence_of(miniature.root, "HEAD", "HEAD") as evidence:
        assert pull_request_of(evidence).slice_names == ["language"]


def test_a_proof_does_not_say_on_which_machine_it_was_found() -> None:
    here = StageProof("train", "proven", "run cache here")
    there = StageProof("train", "proven", "run cache on the remote")
    assert proofs_shown([here]) == proofs_shown([there]) == [Proof("train", True, "")]
    assert proofs_shown(
        [
            StageProof("score", "proven", NOT_RUN_AGAIN),
            StageProof("base", "stale", problems=("params changed",)),
            StageProof("train", "unproven", problems=("no such run in the run cache here",)),
        ]
    ) == [
        Proof("score", True, NOT_RUN_AGAIN),
        Proof("base", False, "params changed"),
        Proof("train", False, "no such run is known"),
    ]
