import pytest
from miniature import Miniature

from tunegate.errors import InputError
from tunegate.experiments.noise import FILE, Noise, NoiseFile, find_noise, read_noise, recipe_of, with_seed
from tunegate.files import write_json
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot


def test_the_deviation_is_that_between_seeds() -> None:
    seeds = {"7": {"accuracy": 0.5, "nll": 1.0}, "8": {"accuracy": 0.6, "nll": 1.0}, "9": {"accuracy": 0.7}}
    noise = Noise(recipe="r", test_set="t", seeds=seeds)
    assert noise.deviations() == {"accuracy": pytest.approx(0.1)}
    assert Noise(recipe="r", test_set="t", seeds={"7": {"accuracy": 0.5}}).deviations() == {}


def test_a_measurement_on_another_test_set_replaces_the_old_one() -> None:
    record = with_seed(NoiseFile(recipes=[]), "r", "old", 7, {"accuracy": 0.5})
    record = with_seed(record, "r", "new", 8, {"accuracy": 0.6})
    record = with_seed(record, "r", "new", 9, {"accuracy": 0.7})
    assert [(noise.test_set, sorted(noise.seeds)) for noise in record.recipes] == [("new", ["8", "9"])]


def test_a_recipe_is_found_whatever_its_seed_and_not_with_another_rate(miniature: Miniature) -> None:
    with open_outputs(miniature.root) as outputs:
        repository = open_repository(miniature.root)
        recipe = recipe_of(Snapshot(repository, None, outputs))
        record = with_seed(NoiseFile(recipes=[]), recipe, "t", 7, {"accuracy": 0.5})
        write_json(miniature.root / FILE, record.model_dump())
        miniature.change(train__seed=99)
        recorded = find_noise([Snapshot(repository, None, outputs)], "t")
        assert recorded
        assert recorded.recipe == recipe
        assert find_noise([Snapshot(repository, None, outputs)], "another test set") is None
        miniature.change(train__learning_rate=0.5)
        assert find_noise([Snapshot(repository, None, outputs)], "t") is None


def test_a_record_with_nan_is_refused(miniature: Miniature) -> None:
    text = '{"recipes": [{"recipe": "r", "test_set": "t", "seeds": {"7": {"accuracy": NaN}}}]}'
    (miniature.root / FILE).write_text(text)
    with open_outputs(miniature.root) as outputs, pytest.raises(InputError, match="seeds"):
        read_noise(Snapshot(open_repository(miniature.root), None, outputs))
