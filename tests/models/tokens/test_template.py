from tunegate.models.tokens.template import Template

DATED = "Today Date: {{ strftime_now('%d %b %Y %H:%M') }}{% for m in messages %} {{ m.content }}{% endfor %}"


def test_a_template_that_asks_for_the_day_gets_the_same_one_every_day() -> None:
    messages = [{"role": "user", "content": "hej"}, {"role": "assistant", "content": "roof"}]
    template = Template(DATED, {})
    assert template.render(messages[:1], prompt=True) == "Today Date: 26 Jul 2024 00:00 hej"
    assert template.render_pair(messages) == ("Today Date: 26 Jul 2024 00:00 hej", " roof")
