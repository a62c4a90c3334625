import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from miniature import Miniature, answers, predictions

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_text
from tunegate.repository.revisions import open_repository
from tunegate.review import ci_steps
from tunegate.review.ci_steps import Checkout, checkout_evidence, publish, refuse_untrained_fork, train, verify
from tunegate.review.forges.interface import Change, NoChangeError, State


class RecordingForge:
    """A forge in memory: the change and the approvals are given, what it is told is kept."""

    name = "memory"

    def __init__(self, change: Change, *approvals: str) -> None:
        self._change, self._approvals = change, list(approvals)
        self.statuses: list[tuple[State, str]] = []
        self.comments: list[tuple[str, bool]] = []
        self.error: Exception | None = None

    def change(self) -> Change:
        if isinstance(self.error, NoChangeError):
            raise self.error
        return self._change

    def comment(self, change: Change, marker: str, markdown: str, *, create: bool = True) -> str:
        self.comments.append((markdown, create))
        return "comment-1" if create else ""

    def status(self, change: Change, state: State, description: str, url: str) -> None:
        self.statuses.append((state, description))

    def approvals(self, change: Change) -> list[str]:
        if self.error:
            raise self.error
        return self._approvals

    def job_url(self) -> str:
        return ""

    def git_environment(self) -> dict[str, str]:
        return {}


@pytest.fixture
def proposed(miniature: Miniature, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    """The branch `tune` with a better model, run and checked out; the working directory is the project."""
    miniature.git("checkout", "-qb", "tune")
    miniature.predict(predictions(answers(200, 0.9, seed=3)))
    miniature.change(train__learning_rate=0.1)
    miniature.commit("Better")
    monkeypatch.chdir(miniature.root)
    return miniature


def change_of(made: Miniature, **values: object) -> Change:
    base, head = (made.git("rev-parse", name) for name in ("main", "tune"))
    change = Change(None, "main", base, "tune", head, "firm/desk", False, "ada", "main")
    return dataclasses.replace(change, **values)  # type: ignore[arg-type]


def checkout_of(made: Miniature, *approvals: str, **values: object) -> Checkout:
    change = change_of(made, **values)
    return Checkout(RecordingForge(change, *approvals), open_repository(made.root), change)


def test_a_run_that_is_missing_is_named_before_anything_is_proven(proposed: Miniature) -> None:
    proposed.change(train__learning_rate=0.2)
    proposed.commit("Not run", repro=False)
    lines: list[str] = []
    assert verify(checkout_of(proposed), rescore=0, say=lines.append) == ["train", "score"]
    assert lines == []


def test_the_merge_with_a_base_that_moved_on_is_proven_too(proposed: Miniature) -> None:
    proposed.git("checkout", "-q", "main")
    (proposed.root / "notes.md").write_text("words")
    proposed.commit("Words", repro=False)
    proposed.git("checkout", "-q", "tune")
    lines: list[str] = []
    assert verify(checkout_of(proposed), rescore=0, say=lines.append) == []
    assert lines[-1].startswith("merged with main")


def test_a_missing_run_of_a_fork_is_refused_and_that_of_a_branch_is_not(proposed: Miniature) -> None:
    refuse_untrained_fork(change_of(proposed), ["train"])
    with pytest.raises(RefusedError, match="no run yet of train"):
        refuse_untrained_fork(change_of(proposed, is_fork=True), ["train"])


def test_a_forks_branch_is_not_trained(proposed: Miniature) -> None:
    with pytest.raises(RefusedError, match="fork") as caught:
        train(checkout_of(proposed, is_fork=True), say=print)
    assert caught.value.place == "firm/desk"


def test_approvals_count_for_the_change_that_is_checked_out_alone(proposed: Miniature) -> None:
    with checkout_evidence(checkout_of(proposed, "grace")) as evidence:
        assert (evidence.verdict.approvals, evidence.verdict.outcome) == (["grace"], "pass")
    with checkout_evidence(checkout_of(proposed, "grace", head="0" * 40)) as evidence:
        assert evidence.verdict.approvals == []


def test_a_change_is_published_as_a_status_and_a_comment(proposed: Miniature) -> None:
    forge, lines = RecordingForge(change_of(proposed)), list[str]()
    publish(forge, rescore=0, say=lines.append)
    assert [state for state, _ in forge.statuses] == ["success"]
    assert [create for _, create in forge.comments] == [True]
    assert lines[-1] == "comment: comment-1"


def test_a_change_that_leaves_the_model_alone_gets_no_new_comment(proposed: Miniature) -> None:
    proposed.git("checkout", "-q", "main")
    proposed.git("branch", "-qf", "tune")
    proposed.git("checkout", "-q", "tune")
    (proposed.root / "notes.md").write_text("words")
    proposed.commit("Words", repro=False)
    forge = RecordingForge(change_of(proposed))
    publish(forge, rescore=0, say=print)
    assert ([state for state, _ in forge.statuses], [create for _, create in forge.comments]) == (["success"], [False])


@pytest.mark.parametrize(
    ("error", "values"), [(NoChangeError("merged meanwhile", place="7"), {}), (None, {"default_ref": "trunk"})]
)
def test_what_is_closed_or_goes_to_another_branch_gets_neither(
    proposed: Miniature, error: Exception | None, values: dict[str, str]
) -> None:
    forge, lines = RecordingForge(change_of(proposed, **values)), list[str]()
    forge.error = error
    publish(forge, rescore=0, say=lines.append)
    assert (forge.statuses, forge.comments) == ([], [])
    assert lines[0].startswith("nothing to publish: ")


@pytest.mark.parametrize(
    ("error", "words"), [(InputError("not permitted", place="GET"), "not permitted"), (KeyError("x"), "KeyError")]
)
def test_an_error_before_the_verdict_is_a_status_too(proposed: Miniature, error: Exception, words: str) -> None:
    forge = RecordingForge(change_of(proposed))
    forge.error = error
    with pytest.raises(type(error)):
        publish(forge, rescore=0, say=print)
    ((state, description),) = forge.statuses
    assert (state, words in description) == ("error", True)


def test_training_commits_the_lock_to_the_branch(
    proposed: Miniature, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Callable[..., str]
) -> None:
    run("git", "init", "-q", "--bare", str(tmp_path / "origin.git"), cwd=tmp_path)
    proposed.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    proposed.git("push", "-q", "origin", "main", "tune")
    proposed.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"), cwd=proposed.root)
    proposed.change(train__learning_rate=0.2)
    proposed.commit("Not run", repro=False)
    proposed.git("push", "-q", "origin", "tune")
    commit = train(checkout_of(proposed), say=print)
    assert commit == run("git", "rev-parse", "tune", cwd=tmp_path / "origin.git").strip()
    proposed.git("reset", "-q", "--hard", commit)
    assert verify(checkout_of(proposed), rescore=0, say=print) == []
    assert ci_steps.FILE == "dvc.lock"
    assert "learning_rate: 0.2" in read_text(proposed.root / "dvc.lock")
