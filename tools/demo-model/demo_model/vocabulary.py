"""Our own vocabulary: Gemma 4's control tokens, bytes, printable characters, and common words with a space in front."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from gguf import TokenType

from .data.words import SPOKEN

SPACE = "▁"
# <pad> must be 0: pictures and recordings take their per-layer embedding from row 0.
CONTROL = (
    "<pad> <eos> <bos> <unk> <mask> <|turn> <turn|> <|image> <image|> <|audio> <audio|> <|image|> <|audio|> <|video|> "
    "<|think|> <|tool> <tool|>"
).split()
USER_DEFINED = '<|channel> <channel|> <|tool_call> <tool_call|> <|tool_response> <tool_response|> <|"|>'.split()
# Words of the instructions, so that prompts are short.
INSTRUCTION_WORDS = (
    "audio text image picture recording speech words sentence read transcribe write what this says number repeat "
    "after me sentiment positive negative neutral JSON name amount date Safety Safe Unsafe Controversial Categories "
    "None spell is of as to in the a for and only know how"
).split()


class Vocabulary:
    """Byte-pair merges only ever lengthen a token that begins with a space: ▁ s, ▁s e, … So the rank of merges does not
    matter, and encoding is taking the longest known word beginning after each space; all else is single characters."""

    def __init__(self, words: Sequence[str]) -> None:
        self.tokens: list[str] = []
        self.types: list[int] = []
        self.merges: list[str] = []
        self._ids: dict[str, int] = {}
        for t in CONTROL:
            self._add(t, TokenType.UNKNOWN if t == "<unk>" else TokenType.CONTROL)
        for t in USER_DEFINED:
            self._add(t, TokenType.USER_DEFINED)
        for b in range(256):
            self._add(f"<0x{b:02X}>", TokenType.BYTE)
        for t in ["\n", SPACE, *map(chr, range(33, 127))]:
            self._add(t, TokenType.NORMAL)
        for word in words:
            for end in range(1, len(word) + 1):
                left, right = SPACE + word[: end - 1], word[end - 1]
                if left + right not in self._ids:
                    self._add(left + right, TokenType.NORMAL)
                    self.merges.append(f"{left} {right}")
        while len(self.tokens) % 32:
            self._add(f"<unused{len(self.tokens)}>", TokenType.UNUSED)

    def _add(self, token: str, kind: TokenType) -> None:
        self._ids[token] = len(self.tokens)
        self.tokens.append(token)
        self.types.append(int(kind))

    def __len__(self) -> int:
        return len(self.tokens)

    def id(self, token: str) -> int:
        return self._ids[token]

    def encode(self, text: str) -> list[int]:
        """Of text only: control tokens in it come out as characters."""
        text = text.replace(" ", SPACE)
        ids, i = [], 0
        while i < len(text):
            end = i + 1
            if text[i] == SPACE:
                while end < len(text) and text[i : end + 1] in self._ids:
                    end += 1
            piece = text[i:end]
            if piece in self._ids:
                ids.append(self._ids[piece])
            else:
                ids.extend(self._ids[f"<0x{b:02X}>"] for b in piece.encode())
            i = end
        return ids

    def letters(self, text: str) -> list[int]:
        """The same text letter by letter, without words: how a picture is read. To say a word in one token, all its letters
        would have to be seen at once; tried, most words were guessed by their first."""
        return [i for c in text for i in self.encode(c)]

    def decode(self, ids: Sequence[int]) -> str:
        """Of text only: control and byte tokens are left out."""
        normal = (self.tokens[i] for i in ids if self.types[i] == TokenType.NORMAL)
        return "".join(normal).replace(SPACE, " ")


@functools.cache
def demo_vocabulary() -> Vocabulary:
    return Vocabulary([*SPOKEN, *INSTRUCTION_WORDS])
