"""Batches of one kind each: pictures of one size, recordings of about one length, or plain text.

`seen` says whether media are drawn and spoken, for the encoders; without it only what they are to say of them is made,
which is much cheaper and enough to train the text model."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .audio_input import RATE, log_mel, tokens_of
from .chat import Example, example
from .config import VisionConfig
from .data import instructions, pictures, speech
from .vocabulary import Vocabulary

Kind = Literal["image", "audio", "text"]
# Share of pictures that are stretched to whole cells, as Batchmill sends them; llama.cpp pads the others.
STRETCHED = 0.85
# Where the character that a token begins with stands among the media; -1 for nowhere.
Places = list[int]


@dataclass
class Batch:
    kind: Kind
    ids: Tensor  # long [B, T], padded with 0 on the right
    targets: Tensor  # long [B, T], the next token; -100 where it is not the answer's
    is_media: Tensor  # bool [B, T]
    span: Tensor  # long [B, T], 1 at the tokens of a picture
    here: Tensor  # long [B, T], where among the tokens that stands which a token of the answer says; -1: nowhere
    there: Tensor  # long [B, T], the same of the token after it
    grid: tuple[int, int] = (0, 0)  # columns and rows of a picture's tokens
    pixels: Tensor | None = None  # float [B, 3, H, W]
    centres: Tensor | None = None  # long [B, patches, THIRDS]
    covers: Tensor | None = None  # long [B, patches]
    letters: Tensor | None = None  # long [B, letters], padded with 0
    letters_at: Tensor | None = None  # float [B, letters, 2], as `pictures.slots_of` has them
    mel: Tensor | None = None  # float [B, frames, mel]
    phonemes: Tensor | None = None  # long [B, tokens]
    ended: Tensor | None = None  # long [B, tokens]

    def answers(self) -> Tensor:
        """long [B, A], the places of the answers' targets; where an answer is shorter, places without one."""
        there = self.targets >= 0
        longest = int(there.sum(1).max())
        first = there.int().argmax(1, keepdim=True)
        # An answer ends where its row's text ends: what follows is padding, or nothing, and then the first place does.
        places = first + torch.arange(longest)
        return places.masked_fill(places >= self.targets.shape[1], 0)


def collate(kind: Kind, examples: list[Example], places: list[Places] | None = None) -> Batch:
    B, T = len(examples), max(len(e.ids) for e in examples) - 1
    ids, targets = torch.zeros(B, T, dtype=torch.long), torch.full((B, T), -100)
    is_media, span = torch.zeros(B, T, dtype=torch.bool), torch.zeros(B, T, dtype=torch.long)
    here, there = torch.full((B, T), -1), torch.full((B, T), -1)
    for i, e in enumerate(examples):
        n = len(e.ids) - 1
        ids[i, :n] = torch.tensor(e.ids[:-1])
        targets[i, e.answer_from - 1 : n] = torch.tensor(e.ids[e.answer_from :])
        is_media[i, e.start : e.start + e.media] = True
        if e.image:
            span[i, e.start : e.start + e.media] = 1
        if places is not None:
            for token, place in enumerate(places[i], e.answer_from):
                if place >= 0:
                    there[i, token - 1] = e.start + place
                    if token < n:
                        here[i, token] = e.start + place
    return Batch(kind, ids, targets, is_media, span, here, there)


def token_places(v: Vocabulary, ids: list[int], place_of: dict[int, int]) -> Places:
    """For each token of a text, the place of its first character that is no space."""
    out, at = [], 0
    for piece in (v.tokens[i] for i in ids):
        first = at + (1 if len(piece) > 1 and piece[0] == "▁" else 0)
        out.append(place_of.get(first, -1))
        at += len(piece)
    return out


class Maker:
    """Makes training batches from a seed. A clip is spoken once and heard `reuse` times, each time with another noise:
    speaking costs more than a training step."""

    POOL, REUSE = 3000, 6

    def __init__(self, vocabulary: Vocabulary, vision: VisionConfig, seed: int, seen: bool) -> None:
        self.v, self.vision, self.rng, self.seen = vocabulary, vision, random.Random(seed), seen
        self._pool: list[speech.Clip] = []

    def _media_first(self) -> bool:
        return self.rng.random() < 0.85

    def _prompt(self, prompts: tuple[str, ...]) -> str:
        # The first is what Batchmill's own tasks ask.
        return prompts[0] if self.rng.random() < 0.5 else self.rng.choice(prompts)

    def text(self, size: int) -> Batch:
        drawn = [instructions.exercise(self.rng) for _ in range(size)]
        return collate("text", [example(self.v, e.prompt, e.answer) for e in drawn])

    def image(self, size: int, level: pictures.Level) -> Batch:
        shape, stretched = pictures.size_for(self.rng, level), self.rng.random() < STRETCHED
        canvas = pictures.fit(shape, self.vision, stretched).canvas
        grid = canvas[0] // self.vision.cell, canvas[1] // self.vision.cell
        make = pictures.draw if self.seen else pictures.lay_out
        drawn = [make(self.rng, shape, level) for _ in range(size)]
        tokens = grid[0] * grid[1]
        batch = collate(
            "image",
            [
                example(self.v, self._prompt(instructions.READ), d.text, tokens, "image", self._media_first())
                for d in drawn
            ],
            [
                token_places(self.v, self.v.letters(d.text), self._character_places(d.text, d.boxes, shape, stretched))
                for d in drawn
            ],
        )
        batch.grid = grid
        slots = [pictures.slots_of(d.boxes, shape, self.vision, stretched) for d in drawn]
        batch.letters = pad_sequence([torch.from_numpy(c) for c, _ in slots], batch_first=True)
        batch.letters_at = pad_sequence([torch.from_numpy(at) for _, at in slots], batch_first=True)
        if self.seen:
            arrays = np.stack([pictures.pixels(d, self.vision, stretched) for d in drawn])
            batch.pixels = torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255
            told = [pictures.labels(d.boxes, shape, self.vision, stretched) for d in drawn]
            batch.centres = torch.from_numpy(np.stack([c for c, _ in told])).flatten(1, 2).long()
            batch.covers = torch.from_numpy(np.stack([c for _, c in told])).flatten(1).long()
        return batch

    def _character_places(self, text: str, boxes: list, shape: tuple[int, int], stretched: bool) -> dict[int, int]:
        # Boxes have no line breaks.
        printed = [i for i, c in enumerate(text) if c != "\n"]
        return dict(zip(printed, pictures.places_of(boxes, shape, self.vision, stretched), strict=True))

    def _clips(self, count: int, most_words: int) -> list[speech.Clip]:
        fresh = count if len(self._pool) < 4 * count else -(-count // self.REUSE)
        clips = [speech.say(self.rng, most_words) for _ in range(fresh)]
        clips += self.rng.sample(self._pool, count - fresh)
        self._pool += clips[:fresh]
        if len(self._pool) > self.POOL:
            self._pool = self._pool[-self.POOL :]
        return clips

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
        batch = collate(
            "audio",
            [
                example(self.v, self._prompt(instructions.LISTEN), c.text, tokens, "audio", self._media_first())
                for c in clips
            ],
            [token_places(self.v, self.v.encode(c.text), dict(c.ends)) for c in clips],
        )
        if self.seen:
            spoken = [speech.coloured(self.rng, np.pad(c.samples, (0, longest - len(c.samples)))) for c in clips]
            heard = [speech.with_noise(self.rng, s) for s in spoken]
            batch.mel = torch.from_numpy(np.stack([log_mel(h) for h in heard]))
        batch.phonemes = torch.zeros(len(clips), tokens, dtype=torch.long)
        batch.ended = torch.zeros(len(clips), tokens, dtype=torch.long)
        for i, c in enumerate(clips):
            n = min(tokens, len(c.phonemes))
            batch.phonemes[i, :n] = torch.from_numpy(c.phonemes[:n].astype(np.int64))
            batch.ended[i, :n] = torch.from_numpy(c.ended[:n].astype(np.int64))
        return batch
