"""Prompts as ids: what the chat template renders for one user turn with thinking off."""

from __future__ import annotations

from dataclasses import dataclass

from .vocabulary import Vocabulary


@dataclass
class Example:
    """A conversation of one turn; media tokens stand in `ids` as zeros, `media` of them from `start` on."""

    ids: list[int]
    answer_from: int
    media: int = 0
    start: int = 0
    image: bool = False


def example(
    v: Vocabulary, prompt: str, answer: str, media: int = 0, kind: str | None = None, media_first: bool = True
) -> Example:
    """`kind` is None, "image" or "audio". What is read of an image is answered letter by letter."""
    head = [v.id("<bos>"), v.id("<|turn>"), *v.encode("user\n")]
    text = v.encode(prompt)
    start = 0
    if kind is not None:
        block = [v.id(f"<|{kind}>"), *[0] * media, v.id(f"<{kind}|>")]
        start = len(head) + 1 + (0 if media_first else len(text))
        text = [*block, *text] if media_first else [*text, *block]
    tail = [v.id("<turn|>"), *v.encode("\n"), v.id("<|turn>"), *v.encode("model\n")]
    thought = [v.id("<|channel>"), *v.encode("thought\n"), v.id("<channel|>")]
    ids = [*head, *text, *tail, *thought]
    said = v.letters(answer) if kind == "image" else v.encode(answer)
    return Example([*ids, *said, v.id("<turn|>")], len(ids), media, start, kind == "image")
