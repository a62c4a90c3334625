from pathlib import Path

import pytest
import torch
from tiny_models import make_model

from tunegate.errors import InputError
from tunegate.models.heads import Headed, load_headed
from tunegate.models.labels import Labels

LABELS = Labels(("heat", "noise", "roof"))


def load(folder: Path, labels: Labels = LABELS, precision: str = "fp32", seed: int = 7) -> Headed:
    return load_headed(folder, labels, device="cpu", precision=precision, seed=seed)


def test_the_same_seed_draws_the_same_head_and_another_another(tmp_path: Path) -> None:
    folder = make_model("bert", tmp_path)
    torch.rand(3)
    one, same, other = load(folder), load(folder), load(folder, seed=8)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), same.model.parameters(), strict=True))
    assert not torch.equal(one.model.classifier.weight, other.model.classifier.weight)
    assert torch.equal(one.model.bert.pooler.dense.weight, other.model.bert.pooler.dense.weight)
    assert not one.model.training


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("bert", ("classifier",)),
        ("distilbert", ("pre_classifier", "classifier")),
        ("xlnet", ("sequence_summary", "logits_proj")),
        ("modernbert", ("head", "classifier")),
        ("llama", ("score",)),
    ],
)
def test_the_head_is_what_stands_beside_the_base(name: str, head: tuple[str, ...], tmp_path: Path) -> None:
    assert load(make_model(name, tmp_path)).head == head


def test_a_pooler_that_the_base_has_no_weights_for_is_part_of_the_head(tmp_path: Path) -> None:
    from transformers import BertModel

    make_model("bert", tmp_path)
    BertModel.from_pretrained(tmp_path, add_pooling_layer=False).save_pretrained(tmp_path)
    assert load(tmp_path).head == ("classifier", "bert.pooler.dense")


def test_the_head_knows_its_labels_and_kind(tmp_path: Path) -> None:
    folder = make_model("bert", tmp_path)
    config = load(folder, Labels(("a", "b"), multi=True)).model.config
    assert config.id2label == {0: "a", 1: "b"}
    assert config.label2id == {"a": 0, "b": 1}
    assert config.problem_type == "multi_label_classification"


def test_an_architecture_without_a_classification_head_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no classification head for the architecture mamba"):
        load(make_model("mamba", tmp_path))


def test_an_architecture_that_mixes_precisions_is_refused_in_bf16(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="xlnet does not run in bf16") as caught:
        load(make_model("xlnet", tmp_path), precision="bf16")
    assert "fp32" in caught.value.remedy
