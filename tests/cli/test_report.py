import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from miniature import Miniature, answers, predictions

from tunegate.cli.report import report
from tunegate.errors import RefusedError
from tunegate.files import read_json, read_text, write_json
from tunegate.review.evidence import open_evidence

FILES = ("report.html", "report.md", "verdict.json")
OUT = Path("out")


@pytest.fixture(scope="module")
def changed(first_miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A branch with another model, checked out; its base is `main`. Read only."""
    root = Path(shutil.copytree(first_miniature.root, tmp_path_factory.mktemp("change") / "project", symlinks=True))
    made = Miniature(root, first_miniature.run)
    made.git("checkout", "-qb", "change")
    made.predict(predictions(answers(200, 0.8, seed=2)))
    made.change(train__learning_rate=0.5)
    made.commit("Another model")
    return made


def test_two_clones_in_different_places_write_the_same_bytes(
    changed: Miniature, run: Callable[..., str], tmp_path: Path
) -> None:
    clone = tmp_path / "some where else" / "b"
    run("git", "clone", "-q", "-b", "change", str(changed.root), str(clone), cwd=tmp_path)
    run("git", "checkout", "-q", "--detach", "origin/main", cwd=clone)
    shutil.copytree(changed.root / ".dvc/cache", clone / ".dvc/cache")
    head = changed.git("rev-parse", "HEAD")
    run("tunegate", "report", "--base", "main", "--head", head, "--out", str(tmp_path / "one"), cwd=changed.root)
    run("tunegate", "report", "--base", "origin/main", "--head", "change", "--out", str(tmp_path / "two"), cwd=clone)
    for name in FILES:
        assert read_text(tmp_path / "one" / name) == read_text(tmp_path / "two" / name), name
        assert str(tmp_path.parent) not in read_text(tmp_path / "one" / name)
    assert "learning_rate" in read_text(tmp_path / "one/report.md")


def test_a_refusal_is_written_as_the_gate_gave_it_and_is_no_failure_of_the_report(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    miniature.git("checkout", "-qb", "change")
    miniature.predict(predictions([False] * 200))
    miniature.commit("A model that knows nothing")
    monkeypatch.chdir(miniature.root)
    report(base="main", head=None, out=OUT, verdict=None, approved_by=None, proof=False)
    with open_evidence(base="main") as evidence:
        assert read_json(OUT / "verdict.json") == evidence.verdict.model_dump(mode="json")
    assert evidence.verdict.outcome == "refused"
    assert "Refused" in read_text(OUT / "report.md")


def test_a_verdict_that_is_not_the_one_on_these_commits_is_refused(
    changed: Miniature, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(changed.root)
    report(base="main", head=None, out=tmp_path, verdict=None, approved_by=["ada"], proof=False)
    given = tmp_path / "verdict.json"
    report(base="main", head=None, out=tmp_path / "again", verdict=given, approved_by=None, proof=False)
    assert read_json(tmp_path / "again/verdict.json")["approvals"] == ["ada"]
    write_json(given, read_json(given) | {"headline": "Pass: trust me"})
    with pytest.raises(RefusedError, match="not the verdict on these commits"):
        report(base="main", head=None, out=tmp_path, verdict=given, approved_by=None, proof=False)
