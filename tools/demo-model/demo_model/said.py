"""What the encoders are to say, made from labels alone, with the mistakes of an encoder: the text model's media while
it is trained apart."""

from __future__ import annotations

import torch
from torch import Tensor

from . import codes
from .batches import Batch
from .data.pictures import SLOTS, THIRDS

# Shares of letters, or words, that are left out or taken for others.
LOST, MISTAKEN = 0.01, 0.02
# How far from its place a letter is said, in slots.
SHIFTED = 0.3


class Sayer:
    def __init__(self) -> None:
        self.letters = codes.letter_codes()
        self.phonemes, self.words = codes.phoneme_codes(), codes.word_codes()

    def image(self, letters: Tensor, at: Tensor, grid: tuple[int, int]) -> Tensor:
        """letters [B, letters], where they are [B, letters, 2] -> [B, tokens, WIDTH], as it should be."""
        B, tokens = len(letters), grid[0] * grid[1]
        slots, shares = spread(at, grid)
        said = (self.letters[letters][:, :, None] * shares[..., None]).flatten(1, 2)
        out = torch.zeros(B, tokens * SLOTS, codes.LETTER)
        out.scatter_add_(1, slots.flatten(1)[..., None].expand_as(said), said)
        return torch.cat([out.view(B, tokens, -1), codes.place_codes(*grid).expand(B, -1, -1)], -1)

    def audio(self, phonemes: Tensor, ended: Tensor) -> Tensor:
        return self.phonemes[phonemes] + self.words[ended]

    def media(self, batch: Batch) -> Tensor:
        """As an encoder says it that is not perfect."""
        if batch.letters is not None and batch.letters_at is not None:
            at = batch.letters_at + SHIFTED * torch.randn_like(batch.letters_at)
            said = self.image(mistaken(batch.letters, codes.CHARACTERS), at, batch.grid)
        else:
            assert batch.phonemes is not None and batch.ended is not None
            phonemes = mistaken(batch.phonemes, self.phonemes.shape[0], 0.1)
            said = self.audio(phonemes, mistaken(batch.ended, self.words.shape[0]))
        # An encoder that is not sure says less, and everything a little.
        strength = 0.7 + 0.4 * torch.rand(*said.shape[:2], 1)
        return said * strength + 0.35 * torch.rand(said.shape[0], 1, 1) * torch.randn_like(said)


def mistaken(labels: Tensor, classes: int, share: float = MISTAKEN) -> Tensor:
    chance = torch.rand(labels.shape)
    there = labels > 0
    labels = torch.where(there & (chance < share), torch.randint(1, classes, labels.shape), labels)
    return labels.masked_fill(there & (chance > 1 - LOST), 0)


def spread(at: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """at [B, letters, 2] -> the four slots around each letter's centre [B, letters, 4], numbered through all cells, and
    its share of each. So what is to be said changes little where a centre moves little: told of the nearest slot only,
    the encoder learned most places across, but never the row, and said each letter in three of them."""
    columns, rows = grid
    low = (at - 0.5).floor()
    share = at - 0.5 - low
    across = torch.stack([low[..., 0], low[..., 0] + 1], -1).long().clamp(0, columns * 2 * THIRDS - 1)
    down = torch.stack([low[..., 1], low[..., 1] + 1], -1).long().clamp(0, rows * 2 - 1)
    cell = (down // 2)[..., None] * columns + (across // (2 * THIRDS))[..., None, :]
    slot = (down % 2)[..., None] * 2 * THIRDS + (across % (2 * THIRDS))[..., None, :]
    of_across = torch.stack([1 - share[..., 0], share[..., 0]], -1)
    of_down = torch.stack([1 - share[..., 1], share[..., 1]], -1)
    return (cell * SLOTS + slot).flatten(-2), (of_down[..., None] * of_across[..., None, :]).flatten(-2)
