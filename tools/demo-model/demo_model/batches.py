"""Batches of one kind each: pictures of one size, recordings of about one length, or plain text."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .audio_input import RATE, log_mel, tokens_of
from .chat import Example, example
from .config import VisionConfig
from .data import instructions, pictures, speech
from .image_input import target_size
from .vocabulary import Vocabulary

Kind = Literal["image", "audio", "text"]


@dataclass
class Batch:
    kind: Kind
    ids: Tensor  # long [B, T], padded with 0 on the right
    targets: Tensor  # long [B, T], the next token; -100 where it is not the answer's
    is_media: Tensor  # bool [B, T]
    span: Tensor  # long [B, T], 1 at the tokens of a picture
    pixels: Tensor | None = None  # float [B, 3, H, W]
    cells: Tensor | None = None  # long [B, tokens, SLOTS]
    mel: Tensor | None = None  # float [B, frames, mel]
    phonemes: Tensor | None = None  # long [B, tokens]
    ended: Tensor | None = None  # long [B, tokens]


def collate(kind: Kind, examples: list[Example]) -> Batch:
    B, T = len(examples), max(len(e.ids) for e in examples) - 1
    ids, targets = torch.zeros(B, T, dtype=torch.long), torch.full((B, T), -100)
    is_media, span = torch.zeros(B, T, dtype=torch.bool), torch.zeros(B, T, dtype=torch.long)
    for i, e in enumerate(examples):
        n = len(e.ids) - 1
        ids[i, :n] = torch.tensor(e.ids[:-1])
        targets[i, e.answer_from - 1 : n] = torch.tensor(e.ids[e.answer_from :])
        is_media[i, e.start : e.start + e.media] = True
        if e.image:
            span[i, e.start : e.start + e.media] = 1
    return Batch(kind, ids, targets, is_media, span)


class Maker:
    """Makes training batches from a seed. A clip is spoken once and heard `reuse` times, each time with another noise:
    speaking costs more than a training step."""

    POOL, REUSE = 1500, 3

    def __init__(self, vocabulary: Vocabulary, vision: VisionConfig, seed: int) -> None:
        self.v, self.vision, self.rng = vocabulary, vision, random.Random(seed)
        self._pool: list[speech.Clip] = []

    def _media_first(self) -> bool:
        return self.rng.random() < 0.8

    def text(self, size: int) -> Batch:
        drawn = [instructions.exercise(self.rng) for _ in range(size)]
        return collate("text", [example(self.v, e.prompt, e.answer) for e in drawn])

    def image(self, size: int, level: pictures.Level) -> Batch:
        shape = pictures.size_for(self.rng, level)
        drawn = [pictures.draw(self.rng, shape, level) for _ in range(size)]
        width, height = target_size(*shape, self.vision)
        tokens = width * height // self.vision.cell**2
        prompts = [self.rng.choice(instructions.READ) for _ in drawn]
        batch = collate(
            "image",
            [
                example(self.v, p, d.text, tokens, "image", self._media_first())
                for p, d in zip(prompts, drawn, strict=True)
            ],
        )
        arrays = np.stack([pictures.pixels(d, self.vision) for d in drawn])
        batch.pixels = torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255
        batch.cells = torch.from_numpy(np.stack([pictures.cell_labels(d, self.vision) for d in drawn])).long()
        return batch

    def _clips(self, count: int, most_words: int) -> list[speech.Clip]:
        fresh = count if len(self._pool) < 4 * count else -(-count // self.REUSE)
        clips = [speech.say(self.rng, most_words) for _ in range(fresh)]
        clips += self.rng.sample(self._pool, count - fresh)
        self._pool += clips[:fresh]
        if len(self._pool) > self.POOL:
            self._pool = self._pool[-self.POOL :]
        return clips

    def forget_clips(self) -> None:
        """When the curriculum moves on, so that no short clips are drawn again for long."""
        self._pool = []

    def audio(self, size: int, most_words: int, batches: int = 4) -> list[Batch]:
        """Several at once, sorted by length so that little is padding."""
        clips = sorted(self._clips(size * batches, most_words), key=lambda c: len(c.samples))
        made = [self._audio_batch(clips[i : i + size]) for i in range(0, len(clips), size)]
        self.rng.shuffle(made)
        return made

    def _audio_batch(self, clips: list[speech.Clip]) -> Batch:
        # Shorter ones are followed by silence: a recording may well be.
        longest = max(len(c.samples) for c in clips) + self.rng.randint(0, RATE // 5)
        tokens = tokens_of(longest)
        prompts = [self.rng.choice(instructions.LISTEN) for _ in clips]
        batch = collate(
            "audio",
            [
                example(self.v, p, c.text, tokens, "audio", self._media_first())
                for p, c in zip(prompts, clips, strict=True)
            ],
        )
        mels = [log_mel(speech.with_noise(self.rng, np.pad(c.samples, (0, longest - len(c.samples))))) for c in clips]
        batch.mel = torch.from_numpy(np.stack(mels))
        batch.phonemes = torch.zeros(len(clips), tokens, dtype=torch.long)
        batch.ended = torch.zeros(len(clips), tokens, dtype=torch.long)
        for i, c in enumerate(clips):
            n = min(tokens, len(c.phonemes))
            batch.phonemes[i, :n] = torch.from_numpy(c.phonemes[:n].astype(np.int64))
            batch.ended[i, :n] = torch.from_numpy(c.ended[:n].astype(np.int64))
        return batch
