"""The chat template: one text, hashed, rendered by the same code in training, evaluation and serving.

A template that differs between the three is the commonest silent fault of a fine-tune. Rendered in a sandbox, with the
globals and filters that transformers gives it (a test compares the two), but for the day, which is always the same.
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.models.folders import TEMPLATE

TODAY = datetime.datetime(2024, 7, 26)
"""The date that every template gets, in training, evaluation and serving alike.

The real one would make other tokens of the same rows tomorrow, and prompts that the model was not trained on. It is the
date that templates of Llama 3 name where they get none.
"""

Message = dict[str, str]


class Template:
    """A compiled chat template. `special` are the texts that it may write, such as `eos_token`."""

    def __init__(self, source: str, special: Mapping[str, Any]) -> None:
        self._source = source
        self._template = _compiled(source)
        self._special = dict(special)

    def writes(self, mark: str) -> bool:
        """Whether the template contains the mark; white space does not count."""
        return mark in self._source and bool(mark.strip())

    def render(self, messages: Sequence[Message], *, prompt: bool) -> str:
        """A conversation's text; of a `prompt`, ending where the answer begins.

        Raises InputError when the template refuses the conversation.
        """
        from jinja2 import TemplateError

        values = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": prompt}
        try:
            return str(self._template.render(**(self._special | values)))
        except TemplateError as error:
            remedy = "give the turns in the order that the template asks for"
            raise InputError(f"the chat template refuses: {error.message}", place="messages", remedy=remedy) from None

    def render_pair(self, messages: Sequence[Message]) -> tuple[str, str]:
        """(prompt, answer): the text before the last assistant turn's content, and that content with what ends it.

        Raises InputError when the template does not continue its own prompt: no mask could separate the two.
        """
        prompt, whole = self.render(messages[:-1], prompt=True), self.render(messages, prompt=False)
        if not whole.startswith(prompt):
            problem = "the text of a conversation does not start with the text of its prompt"
            raise InputError(problem, place=TEMPLATE, remedy="use a template whose generation prompt is a prefix")
        return prompt, whole[len(prompt) :]

    def render_turns(self, messages: Sequence[Message]) -> tuple[str, ...]:
        """(prompt, answer, prompt, answer, …): the text before each assistant turn's content, and that content.

        What stands behind the last assistant turn is left out. Raises InputError when the template writes a turn in
        another way once others follow it: what a model would be trained on is not what it meets.
        """
        parts, done = list[str](), ""
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt, answer = self.render_pair(messages[: index + 1])
            if not prompt.startswith(done):
                problem = f"the text of the first {index} turns does not start with that of fewer of them"
                remedy = "set tokenize.turns to last, or use a template that leaves earlier turns as they are"
                raise InputError(problem, place=TEMPLATE, remedy=remedy)
            parts += [prompt[len(done) :], answer]
            done = prompt + answer
        return tuple(parts)


def _compiled(source: str) -> Any:
    from jinja2 import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Node, Scope
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        # Training masks by this tag; here its body is plain output.
        tags: set[str] = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> Node:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, **options: Any) -> str:
        return json.dumps(value, **({"ensure_ascii": False} | options))

    def strftime_now(pattern: str) -> str:
        return TODAY.strftime(pattern)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    return environment.from_string(source)
