import pytest
import torch
from causal_models import SETTINGS, causal_model
from rounding import close, is_close

from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.training import loss
from tunegate.training.batching import collate
from tunegate.training.fast import path as fast_path


def rows() -> list[Example]:
    made = []
    for number, length in enumerate((5, 17, 9, 3)):
        ids = [(7 * number + 5 * place) % 96 + 1 for place in range(length)]
        made.append(Example(str(number), ids, [IGNORED, IGNORED, *ids[2:]]))
    return made


@pytest.mark.parametrize("name", SETTINGS)
def test_the_loss_of_a_batch_is_that_of_its_rows_alone_in_every_family(name: str) -> None:
    model = causal_model(name)
    alone = torch.tensor(0.0)
    for row in rows():
        logits = model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0, :-1]
        alone = alone + torch.nn.functional.cross_entropy(logits, torch.tensor(row.labels[1:]), reduction="sum")
    expected = torch.autograd.grad(alone, model.get_input_embeddings().weight)[0]
    for install in (lambda _model: None, fast_path.install):
        install(model)
        found = loss.next_token_loss(model, collate(rows())).total
        assert found.item() == close(alone.item())
        gradient = torch.autograd.grad(found, model.get_input_embeddings().weight)[0]
        assert is_close(gradient, expected, 2)


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_log_probabilities_are_those_of_the_logits(name: str) -> None:
    model, batch = causal_model(name), collate(rows())
    logits = loss.logits_of(model, batch)
    assert logits.shape == (batch.units, 97)
    expected = logits.log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
    assert is_close(loss.log_probs_of(model, batch), expected)


def test_logits_that_are_bent_after_the_output_layer_are_not_made_in_parts() -> None:
    bent, plain, scaled = causal_model("gemma2"), causal_model("llama"), causal_model("granite")
    assert not loss._has_linear_logits(bent, bent.get_output_embeddings())
    assert loss._has_linear_logits(plain, plain.get_output_embeddings())
    assert loss._has_linear_logits(scaled, scaled.get_output_embeddings())
    assert "forward" not in vars(plain.lm_head)
