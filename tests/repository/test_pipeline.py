import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.errors import InputError
from tunegate.files import write_text
from tunegate.repository.lock import Entry, Lock, parse_lock
from tunegate.repository.outputs import open_outputs
from tunegate.repository.pipeline import Pipeline, open_pipeline
from tunegate.repository.revisions import open_repository


@contextlib.contextmanager
def pipeline_of(root: Path, commit: str | None = None) -> Iterator[Pipeline]:
    repository = open_repository(root)
    with open_outputs(root) as outputs:
        yield open_pipeline(repository, repository.resolve(commit) if commit else None, outputs)


def lock_of(root: Path) -> Lock:
    return parse_lock((root / "dvc.lock").read_text(), place="dvc.lock")


def test_a_path_is_made_by_the_stages_whose_outputs_are_it_in_it_or_around_it(first_miniature: Miniature) -> None:
    with pipeline_of(first_miniature.root, "HEAD") as pipeline:
        assert pipeline.makers("models/adapter") == ["train"]
        assert pipeline.makers("models/adapter/adapter_model.safetensors") == ["train"]
        assert pipeline.makers("data") == ["prepare", "tokenize"]
        assert pipeline.makers("models/adapt") == pipeline.makers("inputs/base") == []
        assert pipeline.upstream("data/tokens") == {"base", "prepare", "tokenize"}
        assert pipeline.upstream("inputs/base") == set()


def test_a_stage_is_what_dvc_yaml_says_with_the_values_of_the_commit(first_miniature: Miniature) -> None:
    with pipeline_of(first_miniature.root, "HEAD") as pipeline:
        train, score = pipeline.stages["train"], pipeline.stages["score"]
        assert train.params["params.yaml:train"]["learning_rate"] == 0.002
        assert set(train.deps) == {"inputs/adapter", "data/tokens", "models/base", "inputs/trajectory.csv"} | {
            "inputs/train_cost.json"
        }
        assert (train.tracked, score.tracked) == (frozenset(), frozenset(score.outs))
        # DVC remembers no run of a stage whose outputs git keeps.
        assert (train.remembered, score.remembered) == (True, False)
        assert (train.frozen, train.always, train.unprovable) == (False, False, ())


def test_what_was_run_on_other_values_is_outdated_by_each_of_them(first_miniature: Miniature) -> None:
    lock = lock_of(first_miniature.root)
    with pipeline_of(first_miniature.root, "HEAD") as pipeline:
        assert all(pipeline.outdated(pipeline.stages[name], entry, lock) == [] for name, entry in lock.items())
        raw = copy.deepcopy(lock["tokenize"].raw)
        raw["cmd"] = "true"
        raw["params"]["params.yaml"]["tokenize"]["max_length"] = 7
        raw["deps"][0]["md5"] = "0" * 32
        first = raw["deps"][0]["path"]
        del raw["deps"][1:], raw["outs"][0]
        problems = pipeline.outdated(pipeline.stages["tokenize"], Entry("tokenize", raw), lock)
    for part in (
        'cmd: ran with "true"',
        "tokenize.max_length: ran with 7",
        f"{first}: ran on 00000000",
        "is not among the dependencies in the run's record",
        "data/tokens: is not among the outputs in the run's record",
    ):
        assert any(part in problem for problem in problems), (part, problems)


def test_files_are_those_of_the_commit_or_those_of_the_working_tree(miniature: Miniature) -> None:
    locked = lock_of(miniature.root)["base"].deps["inputs/base"].md5
    write_text(miniature.root / "inputs/base/config.json", '{"edited": 1}\n')
    for commit, unchanged in (("HEAD", True), (None, False)):
        with pipeline_of(miniature.root, commit) as pipeline:
            assert (pipeline.md5(pipeline.stages["base"], "inputs/base") == locked) is unchanged


def test_an_output_in_git_that_is_not_what_came_out_is_edited(miniature: Miniature) -> None:
    entry = lock_of(miniature.root)["score"]
    write_text(miniature.root / "reports/metrics.json", "{}\n")
    (miniature.root / "reports/data.json").unlink()
    with pipeline_of(miniature.root, "HEAD") as pipeline:
        assert pipeline.edited(pipeline.stages["score"], entry) == []
    with pipeline_of(miniature.root) as pipeline:
        edited = pipeline.edited(pipeline.stages["score"], entry)
    assert sorted(problem.split(":")[0] for problem in edited) == ["reports/data.json", "reports/metrics.json"]
    assert any(problem.endswith("nothing is in git") for problem in edited)


def test_a_dvc_yaml_that_means_nothing_is_named_with_its_commit(miniature: Miniature) -> None:
    write_text(miniature.root / "dvc.yaml", "stages:\n  train: {cmd: x, outss: [y]}\n")
    commit = miniature.commit("A typo", repro=False)
    with pytest.raises(InputError, match="outss") as caught, pipeline_of(miniature.root, commit):
        pass
    assert caught.value.place == f"{commit[:12]}:dvc.yaml"
