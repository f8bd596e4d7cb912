"""Trains the three parts together, end to end: python -m demo_model.train_joined --minutes 40 --processes 2

Begins with the averaged weights of the parts' own checkpoints (--text, --vision, --audio). Each process has batches of
its own; they share what they learn after every step."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor

from . import loop, places
from .batches import Batch, Maker
from .config import demo_vision
from .data.pictures import Level
from .model import DemoModel
from .vocabulary import demo_vocabulary

# Shares of the steps, and examples in one.
SHARES = {"line": 0.45, "page": 0.2, "audio": 0.22, "text": 0.13}
SIZES = {"line": 24, "page": 10, "audio": 12, "text": 24}
LINE, PAGE = Level(), Level(most_lines=6)
MOST_WORDS = 24


def batches(maker: Maker, reader: Maker) -> Iterator[Batch]:
    """`reader` makes the pictures: it may be one that draws none and only says what they are to say."""
    waiting: list[Batch] = []
    while True:
        kind = maker.rng.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "text":
            yield maker.text(SIZES[kind])
        elif kind == "audio":
            waiting = waiting or maker.audio(SIZES[kind], MOST_WORDS)
            yield waiting.pop()
        else:
            yield reader.image(SIZES[kind], LINE if kind == "line" else PAGE)


def train(args: argparse.Namespace) -> None:
    rank = dist.get_rank() if dist.is_initialized() else 0
    loop.prepare(args.seed)
    vocabulary = demo_vocabulary()
    model = DemoModel(len(vocabulary))
    if not (places.CHECKPOINTS / f"{args.name}.pt").exists():
        model.join(*(places.CHECKPOINTS / f"{name}.pt" for name in (args.text, args.vision, args.audio)))
    model.vision.compile_blocks()
    source: Iterator[Batch]

    def resumed(step: int) -> None:
        nonlocal source
        seed = (args.seed * 1_000_003 + step) * 16 + rank
        torch.manual_seed(seed)
        maker = Maker(vocabulary, demo_vision(), seed, seen=True)
        source = batches(maker, Maker(vocabulary, demo_vision(), seed + 1, seen=False) if args.coded else maker)

    def step_of(step: int) -> tuple[Tensor, dict[str, float]]:
        return model.losses(next(source))

    loop.run(args, model, step_of, resumed)


def main() -> None:
    ap = loop.arguments(__doc__, "demo")
    ap.add_argument("--text", default="text", help="checkpoint of the text model")
    ap.add_argument("--vision", default="vision")
    ap.add_argument("--audio", default="audio")
    ap.add_argument("--coded", action="store_true", help="no pictures, only what they are to say: meanwhile, train_vision")
    ap.add_argument("--processes", type=int, default=1)
    args = ap.parse_args()
    if args.processes == 1:
        return train(args)
    torch.multiprocessing.spawn(_one_of, (args,), args.processes)


def _one_of(rank: int, args: argparse.Namespace) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29507", "GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", rank=rank, world_size=args.processes)
    train(args)


if __name__ == "__main__":
    main()
