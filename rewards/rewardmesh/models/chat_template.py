"""Renders a checkpoint's chat template around marks, and cuts it where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from jinja2 import TemplateError as JinjaError
from transformers.utils.chat_template_utils import render_jinja_template


class TemplateError(ValueError):
    """A chat template cannot be used, or refuses a conversation."""


def pieces(
    template: str, messages: Sequence[Mapping[str, Any]], marks: Sequence[str], names: Mapping[str, Any]
) -> list[str]:
    """What the template writes before, between and behind the marks, one text more than there are marks.

    Args:
        template: A jinja template as Hugging Face's tokenizers have it.
        messages: Role and content; every text in them is a mark.
        marks: The texts, in order.
        names: Further variables: `bos_token`, `eos_token`, `add_generation_prompt`.

    Raises:
        TemplateError: It raises an error, or leaves a text out, repeats it or changes the order.
    """
    try:
        rendered, _ = cast(Any, render_jinja_template)([list(messages)], chat_template=template, **names)
    except (JinjaError, TypeError, ValueError) as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from error
    found: list[str] = []
    rest = rendered[0]
    for mark in marks:
        if rest.count(mark) != 1:
            raise TemplateError(f"it writes a message's text {rest.count(mark)} times; expected once, in order")
        before, _, rest = rest.partition(mark)
        found.append(before)
    return [*found, rest]
