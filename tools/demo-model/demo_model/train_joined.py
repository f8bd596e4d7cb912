"""Trains the three parts together, end to end: python -m demo_model.train_joined --minutes 40 --processes 2

Begins with the averaged weights of the parts' own checkpoints (--text-from, --vision-from, --audio-from), or with a pair
of GGUF files (--from). Each process has batches of its own; they share what they learn after every step.

On a machine that others use too, processes that wait for each other lose much. Then rather two at once, each with its own
checkpoint: `--learns encoders --name encoders` and `--learns text --follows encoders`, which takes the encoders over as
they are written down."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from . import checkpoint, loop, places
from .batches import Batch, Maker
from .config import demo_vision
from .data.pictures import Level
from .model import TEACHING, DemoModel
from .ops import Numerics
from .vocabulary import demo_vocabulary

# Examples of each kind in a step of one process: all parts learn in each step. Coded ones are not drawn or spoken, only
# said: a third of the cost, and reading needs more of them than seeing does.
SIZES = {"line": 12, "coded-line": 12, "page": 0, "coded-page": 0, "audio": 6, "coded-audio": 0, "text": 12}
LINE, PAGE = Level(), Level(most_lines=6, least_lines=2)
MOST_WORDS = 24


class Source:
    """The batches of a step."""

    def __init__(self, seed: int, sizes: dict[str, int]) -> None:
        vocabulary, vision = demo_vocabulary(), demo_vision()
        self.drawer, self.sayer = (Maker(vocabulary, vision, seed + i, seen=i == 0) for i in range(2))
        self.sizes = sizes
        self._spoken: dict[str, list[Batch]] = {}

    def __iter__(self) -> Iterator[tuple[str, Batch]]:
        for kind, size in self.sizes.items():
            if size > 0:
                yield kind, self._batch(kind, size)

    def _batch(self, kind: str, size: int) -> Batch:
        if kind == "text":
            return self.drawer.text(size)
        maker = self.sayer if kind.startswith("coded-") else self.drawer
        if kind.endswith("audio"):
            if not self._spoken.get(kind):
                self._spoken[kind] = maker.audio(size, MOST_WORDS)
            return self._spoken[kind].pop()
        return maker.image(size, PAGE if kind.endswith("page") else LINE)


class Watched:
    """Another run's checkpoint, looked at when it has been written anew after `since`, seconds of the epoch."""

    def __init__(self, name: str, since: float) -> None:
        self.path, self.seen = places.CHECKPOINTS / f"{name}.pt", since

    def news(self) -> dict[str, Any] | None:
        written = self.path.stat().st_mtime if self.path.exists() else 0.0
        if written <= self.seen:
            return None
        self.seen = written
        return checkpoint.load(self.path)


@torch.no_grad()
def exchange(model: DemoModel, followed: Watched | None, peer: Watched | None) -> None:
    """Takes over the encoders of the one, and meets the other half way."""
    found = followed and followed.news()
    if found:
        encoders = {k: v for k, v in found["average"].items() if not k.startswith("text.")}
        model.load_state_dict(encoders, strict=False)
    found = peer and peer.news()
    if found:
        for name, own in model.named_parameters():
            if own.requires_grad:
                own.lerp_(found["model"][name], 0.5)


def train(args: argparse.Namespace) -> None:
    rank = dist.get_rank() if dist.is_initialized() else 0
    loop.prepare(args.seed)
    model = DemoModel(len(demo_vocabulary()))
    if not (places.CHECKPOINTS / f"{args.name}.pt").exists():
        if args.source is not None:
            model.take(args.source)
        else:
            parts = (args.text_from, args.vision_from, args.audio_from)
            model.join(*(places.CHECKPOINTS / f"{name}.pt" for name in parts))
    Numerics.fused = True
    model.teaching = args.teaching
    model.vision.compile_blocks()
    source: Source
    followed = Watched(args.follows, 0.0) if args.follows else None
    peer = Watched(args.peer, time.time()) if args.peer else None
    for part, learned in ((model.text, "encoders"), (model.vision_teacher, "text"), (model.audio_teacher, "text")):
        part.requires_grad_(args.learns != learned)

    def resumed(step: int) -> None:
        nonlocal source
        seed = (args.seed * 1_000_003 + step) * 16 + rank
        torch.manual_seed(seed)
        kinds = ("line", "page", "audio") if args.learns == "encoders" else SIZES
        source = Source(seed, {kind: getattr(args, kind.replace("-", "_")) for kind in kinds})

    def step_of(step: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        exchange(model, followed, peer)
        for kind, batch in source:
            loss, figures = model.losses(batch, args.learns)
            yield loss, {f"{kind}_{name}": value for name, value in figures.items()}

    loop.run(args, model, step_of, resumed)


def main() -> None:
    ap = loop.arguments(__doc__, "demo")
    for part in ("text", "vision", "audio"):
        ap.add_argument(f"--{part}-from", default=part, metavar="NAME", help="checkpoint of the part")
    ap.add_argument("--from", dest="source", type=Path, metavar="DIR", help="begin with its text.gguf and mmproj.gguf")
    ap.add_argument("--learns", choices=["all", "text", "encoders"], default="all")
    ap.add_argument("--follows", metavar="NAME", help="checkpoint whose encoders are taken over, again and again")
    ap.add_argument(
        "--peer", metavar="NAME", help="checkpoint of a run that learns the same: the two meet again and again"
    )
    for kind, size in SIZES.items():
        ap.add_argument(f"--{kind}", type=int, default=size, metavar="N", help="examples in a step of a process")
    ap.add_argument("--teaching", type=float, default=TEACHING, help="weight of how near the encoders are to the codes")
    ap.add_argument("--processes", type=int, default=1)
    args = ap.parse_args()
    if args.processes == 1:
        return train(args)
    torch.multiprocessing.spawn(_one_of, (args,), args.processes)


def _one_of(rank: int, args: argparse.Namespace) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29507", "GLOO_SOCKET_IFNAME": "lo"}
    # Long, because whoever measures on this machine may halt training meanwhile.
    dist.init_process_group("gloo", rank=rank, world_size=args.processes, timeout=timedelta(hours=6))
    train(args)


if __name__ == "__main__":
    main()
