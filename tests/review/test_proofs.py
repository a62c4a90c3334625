import pytest
from miniature import Miniature

from tunegate.errors import RefusedError
from tunegate.files import read_yaml, write_yaml
from tunegate.repository.proof import AGAIN, StageProof
from tunegate.repository.revisions import open_repository
from tunegate.review.proofs import proofs_as_text, refuse_unfinished, refuse_unproven, waiting_stages

PROVEN = StageProof("base", "proven", "run cache here")
STALE = StageProof("train", "stale", problems=("params.yaml:train.rank: ran with 2, here 4",))
FORGED = StageProof("evaluate", "unproven", problems=("no such run", "and no remote"))


def test_a_stage_without_its_run_waits_and_one_with_a_false_entry_does_not() -> None:
    assert waiting_stages([PROVEN, STALE, FORGED]) == ["train"]


def test_every_stage_that_is_not_proven_is_refused_by_name_with_its_problems() -> None:
    refuse_unproven([PROVEN])
    with pytest.raises(RefusedError, match=r"train: .*here 4; evaluate: no such run, and no remote") as caught:
        refuse_unproven([PROVEN, STALE, FORGED], place="a1b2:dvc.lock")
    assert (caught.value.place, "base" in caught.value.problem) == ("a1b2:dvc.lock", False)


def test_stages_that_wait_can_be_accepted_and_false_entries_cannot() -> None:
    refuse_unproven([PROVEN, STALE], allow_waiting=True)
    with pytest.raises(RefusedError, match="evaluate"):
        refuse_unproven([STALE, FORGED], allow_waiting=True)


def test_the_table_names_a_stage_once_and_gives_each_problem_its_line() -> None:
    lines = proofs_as_text([PROVEN, FORGED], "200 rows scored again").splitlines()
    assert [line.split() for line in lines[1:2]] == [["base", "run", "cache", "here"]]
    assert lines[2].startswith("evaluate  NOT PROVEN (unproven): no such run")
    assert (lines[3].strip(), lines[4]) == ("and no remote", "200 rows scored again")


def test_a_stage_that_repro_would_still_run_is_refused_unless_the_proof_ran_it_again(miniature: Miniature) -> None:
    stage = {"cmd": "echo 1 > made.txt", "outs": [{"made.txt": {"cache": False}}]}
    (miniature.root / "inputs/more").mkdir()
    write_yaml(miniature.root / "inputs/more/dvc.yaml", {"stages": {"make": stage}})
    pipeline = read_yaml(miniature.root / "dvc.yaml")
    pipeline["stages"]["score"]["deps"].append("inputs/more/made.txt")
    write_yaml(miniature.root / "dvc.yaml", pipeline)
    miniature.commit("A stage in another file")
    repository = open_repository(miniature.root)
    refuse_unfinished(repository, repository.resolve("HEAD"), [])
    miniature.git("rm", "-q", "--cached", "inputs/more/dvc.lock")
    miniature.git("commit", "-qm", "Its run is not committed")
    head = repository.resolve("HEAD")
    with pytest.raises(RefusedError, match=r"inputs/more/dvc\.yaml:make") as caught:
        refuse_unfinished(repository, head, [])
    names = caught.value.problem.partition("restore ")[2].split(", ")
    refuse_unfinished(repository, head, [StageProof(name, "proven", AGAIN) for name in names])
