"""What the encoders are to say, made from labels alone, with the mistakes of an encoder: the text model's media while
it is trained apart."""

from __future__ import annotations

import torch
from torch import Tensor

from . import codes
from .batches import Batch

# Shares of letters, or words, that are left out or taken for others.
LOST, MISTAKEN, SHIFTED = 0.01, 0.03, 0.06


class Sayer:
    def __init__(self) -> None:
        self.letters = codes.letter_codes()
        self.phonemes, self.words = codes.phoneme_codes(), codes.word_codes()

    def image(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        """cells [B, tokens, SLOTS] -> [B, tokens, WIDTH], as it should be."""
        place = codes.place_codes(*grid).expand(cells.shape[0], -1, -1)
        return torch.cat([self.letters[cells].flatten(2), place], -1)

    def audio(self, phonemes: Tensor, ended: Tensor) -> Tensor:
        return self.phonemes[phonemes] + self.words[ended]

    def media(self, batch: Batch) -> Tensor:
        """As an encoder says it that is not perfect."""
        if batch.cells is not None:
            said = self.image(mistaken(shifted(batch.cells), codes.CHARACTERS), batch.grid)
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


def shifted(cells: Tensor) -> Tensor:
    """Letters near the edge of a slot are found in the next one, if that is empty."""
    out = cells.clone()
    third = torch.arange(cells.shape[-1]) % 3
    move = (cells[..., :-1] > 0) & (cells[..., 1:] == 0) & (torch.rand(cells[..., 1:].shape) < SHIFTED)
    move &= third[:-1] < 2
    # No slot gives and takes at once.
    move[..., 1:] &= ~move[..., :-1]
    out[..., 1:] = torch.where(move, cells[..., :-1], out[..., 1:])
    out[..., :-1] = torch.where(move, torch.zeros_like(out[..., :-1]), out[..., :-1])
    return out
