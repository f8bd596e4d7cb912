"""Fixed codes: what an encoder's token is to be, as a vector of the text model's width.

They follow from a seed, so that the two encoders and the text model can be trained apart, at the same time: the
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
# A cell's code has a part for each slot, in which the letter there is said, and at its end a part for the cell's place: so
# what an encoder says of one letter has nothing to do with the letters beside it, and a reader finds it by looking at
# one part. Codes of letter and slot drawn together were not learned.
LETTER = 14
PLACE = WIDTH - SLOTS * LETTER
STRENGTH = 1.5


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(SEED + seed))


def letter_codes() -> Tensor:
    """[CHARACTERS, LETTER], pushed apart from each other; row 0 (none) is zero."""
    codes = _normal(1, CHARACTERS - 1, LETTER).requires_grad_()
    optimizer = torch.optim.Adam([codes], 0.05)
    for _ in range(300):
        unit = codes / codes.norm(dim=1, keepdim=True)
        alike = (unit @ unit.T).fill_diagonal_(-1)
        loss = (alike * 12).exp().mean().log()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unit = codes.detach() / codes.detach().norm(dim=1, keepdim=True)
    return torch.cat([torch.zeros(1, LETTER), unit * STRENGTH * math.sqrt(LETTER)])


def place_codes(columns: int, rows: int) -> Tensor:
    """[rows * columns, PLACE] of a picture's cells, row by row: sines and cosines, so that one matrix moves every place to
    the next."""
    frequencies = math.pi / 2.0 ** torch.arange(PLACE // 4)

    def waves(n: int) -> Tensor:
        angle = torch.arange(n)[:, None] * frequencies
        return torch.cat([angle.sin(), angle.cos()], 1)

    x = waves(columns)[None].expand(rows, -1, -1)
    y = waves(rows)[:, None].expand(-1, columns, -1)
    return torch.cat([x, y], 2).reshape(rows * columns, PLACE)


def phoneme_codes() -> Tensor:
    """[phonemes + 1, WIDTH], row 0 for a pause."""
    return _normal(6, len(PHONEMES) + 1, WIDTH) * 0.7


def word_codes() -> Tensor:
    """[words + 1, WIDTH] of the word that has just ended; row 0 (none) is zero."""
    codes = _normal(7, len(WORD_CLASS) + 1, WIDTH)
    codes[0] = 0
    return codes
