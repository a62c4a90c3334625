import pytest

from tunegate.errors import InputError
from tunegate.models.template import Template, require_template

DATED = "Today Date: {{ strftime_now('%d %b %Y %H:%M') }}{% for m in messages %} {{ m.content }}{% endfor %}"


def test_a_template_that_asks_for_the_day_gets_the_same_one_every_day() -> None:
    messages = [{"role": "user", "content": "hej"}, {"role": "assistant", "content": "roof"}]
    template = Template(DATED, {})
    assert template.render(messages[:1], prompt=True) == "Today Date: 26 Jul 2024 00:00 hej"
    assert template.render_pair(messages) == ("Today Date: 26 Jul 2024 00:00 hej", " roof")


@pytest.mark.parametrize(
    ("template", "eos", "problem"), [(None, "</s>", "no chat template"), ("x", None, "no token that ends an answer")]
)
def test_a_model_without_a_template_or_an_end_is_named(template: str | None, eos: str | None, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        require_template(template, eos, "plain-7b")
    assert caught.value.place == "models/catalog.yaml: models.plain-7b"
