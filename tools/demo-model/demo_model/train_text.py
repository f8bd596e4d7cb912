"""Trains the text model apart, on what the encoders are to say: python -m demo_model.train_text --minutes 40"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from . import loop
from .answers import loss_of
from .batches import Batch, Maker
from .config import demo_text, demo_vision
from .data.pictures import Level
from .ops import Numerics
from .said import Sayer
from .text import TextModel
from .vocabulary import demo_vocabulary

# Shares of the steps, and examples in one.
SHARES = {"line": 0.5, "page": 0.08, "audio": 0.27, "text": 0.15}
SIZES = {"line": 24, "page": 12, "audio": 24, "text": 32}
LINE, FEW, PAGE = Level(), Level(most_lines=3, least_lines=2), Level(most_lines=6, least_lines=2)
MOST_WORDS = 24


def batches(maker: Maker, step: list[int]) -> Iterator[Batch]:
    """`step[0]` is the step at hand: pages have few lines at first."""
    waiting: list[Batch] = []
    while True:
        kind = maker.rng.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "text":
            yield maker.text(SIZES[kind])
        elif kind == "audio":
            waiting = waiting or maker.audio(SIZES[kind], MOST_WORDS)
            yield waiting.pop()
        elif kind == "line":
            yield maker.image(SIZES[kind], LINE)
        else:
            yield maker.image(SIZES[kind], FEW if step[0] < 1500 else PAGE)


def main() -> None:
    args = loop.arguments(__doc__, "text").parse_args()
    loop.prepare(args.seed)
    Numerics.fused = True
    vocabulary, sayer, at = demo_vocabulary(), Sayer(), [0]
    text = TextModel(demo_text(len(vocabulary)))
    source: Iterator[Batch]

    def resumed(step: int) -> None:
        nonlocal source
        torch.manual_seed(args.seed * 1_000_003 + step)
        source = batches(Maker(vocabulary, demo_vision(), args.seed * 1_000_003 + step, seen=False), at)

    def step_of(step: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        at[0] = step
        batch = next(source)
        yield loss_of(text, batch, None if batch.kind == "text" else sayer.media(batch))

    loop.run(args, text, step_of, resumed)


if __name__ == "__main__":
    main()
