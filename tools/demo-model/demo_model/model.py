"""The three parts together, and the auxiliary heads that only training has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .audio import AudioEncoder
from .batches import Batch
from .config import demo_audio, demo_text, demo_vision
from .data.pictures import SLOTS
from .data.speech import PHONEMES, WORD_CLASS
from .text import TextModel
from .vision import VisionEncoder

CHARACTERS = 96  # 0 is none, then chr(32)..chr(126)


class DemoModel(nn.Module):
    def __init__(self, n_vocab: int) -> None:
        super().__init__()
        self.text = TextModel(demo_text(n_vocab))
        self.vision = VisionEncoder(demo_vision())
        self.audio = AudioEncoder(demo_audio())
        # The encoders are told what lies under each of their tokens: the text model could teach them that too, but only
        # after it has found out where to look, and it finds nothing while they say nothing.
        width = self.text.cfg.n_embd
        self.cell_head = nn.Linear(width, SLOTS * CHARACTERS)
        self.phoneme_head = nn.Linear(width, len(PHONEMES) + 1)
        self.word_head = nn.Linear(width, len(WORD_CLASS) + 1)


def named(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in which what is there weighs as much as what is not: most places are empty (0), and averaging over
    all of them would teach little but that."""
    each = F.cross_entropy(logits.float().flatten(0, -2), labels.flatten(), reduction="none")
    there = (labels.flatten() > 0).float()
    return (each * there).sum() / there.sum().clamp(min=1) + (each * (1 - there)).sum() / (1 - there).sum().clamp(min=1)


@dataclass
class Losses:
    total: Tensor
    answer: float
    auxiliary: float
    right: float  # share of the answers' tokens foretold rightly (of letters or phonemes named, without the text model)


def share_right(logits: Tensor, labels: Tensor) -> float:
    """Of places where something is."""
    there = labels > 0
    return (logits.argmax(-1)[there] == labels[there]).float().mean().item()


def losses(model: DemoModel, batch: Batch, auxiliary_weight: float, encoder_only: bool = False) -> Losses:
    media, extra, named_right = None, torch.zeros(()), 0.0
    if batch.pixels is not None and batch.cells is not None:
        media = model.vision(batch.pixels).float()
        cells = model.cell_head(media).unflatten(-1, (SLOTS, CHARACTERS))
        extra, named_right = named(cells, batch.cells), share_right(cells, batch.cells)
    elif batch.mel is not None and batch.phonemes is not None and batch.ended is not None:
        media = model.audio(batch.mel).float()
        sounds = model.phoneme_head(media).float()
        named_right = share_right(sounds, batch.phonemes)
        extra = F.cross_entropy(sounds.flatten(0, 1), batch.phonemes.view(-1))
        extra = extra + named(model.word_head(media), batch.ended)
    if encoder_only:
        return Losses(extra, 0.0, extra.item(), named_right)
    placed = None
    if media is not None:
        E = media.shape[-1]
        places = batch.is_media[..., None].expand(-1, -1, E)
        placed = torch.zeros(*batch.ids.shape, E).masked_scatter(places, media)
    hidden = model.text.hidden(
        batch.ids, placed, batch.is_media if media is not None else None, batch.span if batch.kind == "image" else None
    )
    # Only answers are learned; the head over other places would be work for nothing.
    wanted = batch.targets >= 0
    logits, targets = model.text.head(hidden[wanted]).float(), batch.targets[wanted]
    answer = F.cross_entropy(logits, targets)
    right = float((logits.argmax(-1) == targets).float().mean())
    return Losses(answer + auxiliary_weight * extra, answer.item(), extra.item(), right)
