"""The chat template: one text, hashed, the same in training, evaluation and serving.

A template that differs between the three is the commonest silent fault of a fine-tune. This module knows the file's
name and what makes a template usable; rendering is the tokenizer's.
"""

from typing import Any

from tunegate.errors import InputError

TEMPLATE = "chat_template.jinja"

Message = dict[str, str]


def require_template(template: str | None, eos_token: str | None) -> None:
    """Raise InputError unless there is a template and a token that ends an answer."""
    remedy = "choose an instruction-tuned base model, or add the missing part to the entry in models/catalog.yaml"
    if not template:
        raise InputError("the base model has no chat template", place="models/base", remedy=remedy)
    if not eos_token:
        raise InputError("the base model names no end-of-answer token (eos_token)", place="models/base", remedy=remedy)


def messages_of(row: dict[str, Any]) -> list[Message]:
    """The conversation of a canonical row; `text` + `label` is one question and its answer."""
    if row["messages"]:
        return [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
    return [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["label"]}]


def render(tokenizer: Any, messages: list[Message]) -> tuple[str, str]:
    """(prompt, answer): the text before the last assistant turn's content, and that content with what ends it.

    Raises InputError when the template does not continue its own prompt, so that no mask could separate the two.
    """
    prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    if not whole.startswith(prompt):
        problem = "the text of a conversation does not start with the text of its prompt"
        raise InputError(problem, place=TEMPLATE, remedy="use a template whose generation prompt is a prefix")
    return prompt, whole[len(prompt) :]
