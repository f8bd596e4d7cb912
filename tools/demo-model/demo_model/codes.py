"""Fixed codes: what an encoder's token is to be, as a vector of the text model's width.

They are drawn once from a seed, so that the two encoders and the text model can be trained apart, at the same time: the
encoders learn to say the codes, the text model learns to read them. Joined, all three are trained on together."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .data.pictures import SLOTS
from .data.speech import PHONEMES, WORD_CLASS

WIDTH = 192
CHARACTERS = 96  # 0 is none, then chr(32)..chr(126)
SEED = 4242
# Of the codes of column and row, against the letters'.
PLACE_SCALE = 0.5
FREQUENCIES = tuple(math.pi / 2 ** (i / 1.5) for i in range(1, 9))


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(SEED + seed))


def character_codes() -> Tensor:
    """[SLOTS, CHARACTERS, WIDTH]. Half of a code is the character's alone, half belongs to the slot too: so that a
    letter looks like itself wherever it stands. Row 0 (none) is zero."""
    codes = (_normal(1, 1, CHARACTERS, WIDTH) + _normal(2, SLOTS, CHARACTERS, WIDTH)) / math.sqrt(2)
    codes[:, 0] = 0
    return codes


def empty_code() -> Tensor:
    """[WIDTH], of a cell in which nothing stands."""
    return _normal(3, WIDTH)


def waves(n: int, step: float = 1.0) -> Tensor:
    """[n, 2 * frequencies]: sine and cosine, so that one matrix moves every place to the next."""
    angle = torch.arange(n)[:, None] * step * torch.tensor(FREQUENCIES)
    return torch.cat([angle.sin(), angle.cos()], 1)


def place_codes(columns: int, rows: int) -> Tensor:
    """[rows * columns, WIDTH] of a picture's cells, row by row."""
    size = 2 * len(FREQUENCIES)
    scale = PLACE_SCALE * math.sqrt(2 / size)
    x = waves(columns) @ _normal(4, size, WIDTH) * scale
    y = waves(rows) @ _normal(5, size, WIDTH) * scale
    return (y[:, None] + x[None]).reshape(rows * columns, WIDTH)


def phoneme_codes() -> Tensor:
    """[phonemes + 1, WIDTH], row 0 for a pause."""
    return _normal(6, len(PHONEMES) + 1, WIDTH) * 0.7


def word_codes() -> Tensor:
    """[words + 1, WIDTH] of the word that has just ended; row 0 (none) is zero."""
    codes = _normal(7, len(WORD_CLASS) + 1, WIDTH)
    codes[0] = 0
    return codes
