"""How well the text model answers a batch, given what stands for its media."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import Batch
from .text import TextModel

# Heads that are shown where to look, because finding that out is the hard part of reading: the first head of one layer
# at what the token at hand says, that of a later one at what comes next. Both own their keys, and are full layers.
HERE, THERE = 3, 5
GUIDANCE = 0.3


def loss_of(text: TextModel, batch: Batch, media: Tensor | None) -> tuple[Tensor, dict[str, float]]:
    """media [B, tokens, WIDTH], in the order of the batch's media places."""
    placed = None
    if media is not None:
        E = media.shape[-1]
        places = batch.is_media[..., None].expand(-1, -1, E)
        placed = torch.zeros(*batch.ids.shape, E).masked_scatter(places, media.float())
    # Only answers are learned; the last layers and the head over other places would be work for nothing.
    answers = batch.answers()
    targets = batch.targets.gather(1, answers)
    if media is not None:
        # The later of the two layers is the one from which on only answers are computed.
        text.blk[HERE].watched, text.blk[THERE].watched = batch.here, batch.there.gather(1, answers)
    hidden = text.hidden(
        batch.ids,
        placed,
        batch.is_media if media is not None else None,
        batch.span if batch.kind == "image" else None,
        answers,
    )
    there = targets >= 0
    logits, targets = text.head(hidden[there]).float(), targets[there]
    answer = F.cross_entropy(logits, targets)
    right = float((logits.argmax(-1) == targets).float().mean())
    figures = {"loss": answer.item(), "foretold": right}
    if media is None:
        return answer, figures
    at_hand, next_one = text.blk[HERE].missed, text.blk[THERE].missed
    text.blk[HERE].watched = text.blk[THERE].watched = None
    assert at_hand is not None and next_one is not None
    figures |= {"here": at_hand.item(), "there": next_one.item()}
    return answer + GUIDANCE * (at_hand + next_one), figures
