"""Trains the demo model: python -m demo_model.train --minutes 60

Goes on from the checkpoint of the same name if there is one. Ends by itself after --minutes, or on SIGTERM after the
step at hand; either way the checkpoint is written. --finish lets the learning rate fall to nothing over the run's last
third: for the last run."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from . import checkpoint, places
from .batches import Batch, Maker
from .checkpoint import Average
from .curriculum import Curriculum
from .model import DemoModel, losses
from .vocabulary import demo_vocabulary

SAVE_EVERY = 240  # seconds
LOG_EVERY = 50  # steps
WARM_UP = 200  # steps
# Shares of the steps, and examples in a step.
SHARES = {"image": 0.42, "audio": 0.38, "text": 0.2}
SIZES = {"image": 8, "audio": 8, "text": 24}


def has_fast_bf16() -> bool:
    """AMX multiplies bf16 matrices about five times faster than AVX-512 does f32; without it bf16 is slower."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()


def batches(maker: Maker, curriculum: Curriculum) -> Iterator[Batch]:
    waiting: list[Batch] = []
    while True:
        kind = maker.rng.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "text":
            yield maker.text(SIZES[kind])
        elif kind == "image":
            yield maker.image(SIZES[kind], curriculum.level())
        else:
            waiting = waiting or maker.audio(SIZES[kind], curriculum.words())
            yield waiting.pop()


def make_optimizer(model: DemoModel, rate: float) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def compile_parts(model: DemoModel) -> None:
    """Fuses the small operations, which take most of a step. Two minutes at the first start; the results are kept."""
    model.vision.compile(dynamic=True)
    model.audio.compile(dynamic=True)
    model.text.hidden = torch.compile(model.text.hidden, dynamic=True)


class Clock:
    """Where the time goes."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextlib.contextmanager
    def of(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.spent[what] = self.spent.get(what, 0.0) + time.perf_counter() - start


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--name", default="demo", help="of the checkpoint")
    ap.add_argument("--minutes", type=float, required=True)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--finish", action="store_true")
    ap.add_argument("--precision", choices=("auto", "bf16", "f32"), default="auto")
    ap.add_argument("--compile", action="store_true", help="fuse operations; see compile_parts")
    ap.add_argument("--auxiliary", type=float, default=1.0, help="weight of the auxiliary losses")
    args = ap.parse_args()

    torch.set_num_threads(1)  # the rest of the machine is for others
    torch.manual_seed(args.seed)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(places.CACHE / "inductor"))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    bf16 = args.precision == "bf16" or (args.precision == "auto" and has_fast_bf16())
    vocabulary = demo_vocabulary()
    model = DemoModel(len(vocabulary))
    optimizer = make_optimizer(model, args.rate)
    average, curriculum, step, before = Average(model), Curriculum(), 0, 0.0
    path = places.CHECKPOINTS / f"{args.name}.pt"
    if path.exists():
        old = checkpoint.load(path)
        model.load_state_dict(old["model"])
        optimizer.load_state_dict(old["optimizer"])
        average.state = old["average"]
        step, before, curriculum = old["step"], old["seconds"], Curriculum(**old["curriculum"])
    path.parent.mkdir(parents=True, exist_ok=True)
    if args.compile:
        compile_parts(model)

    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Another seed after each resumption: the same pictures again would teach less.
    maker = Maker(vocabulary, model.vision.cfg, args.seed * 1_000_003 + step)
    source, clock, start, saved = batches(maker, curriculum), Clock(), time.monotonic(), time.monotonic()
    sums: dict[str, list[float]] = {}
    with path.with_suffix(".jsonl").open("a") as log:
        while not stopping:
            elapsed = time.monotonic() - start
            progress = elapsed / (60 * args.minutes)
            if progress >= 1:
                break
            fall = min(1.0, 3 * (1 - progress)) if args.finish else 1.0
            for group in optimizer.param_groups:
                group["lr"] = args.rate * min(1.0, (step + 1) / WARM_UP) * fall
            with clock.of("data"):
                batch = next(source)
            with clock.of(batch.kind), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = losses(model, batch, args.auxiliary, curriculum.encoder_only(batch.kind))
                loss.total.backward()
            with clock.of("update"):
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                average.update(model, step)
            step += 1
            row = sums.setdefault(batch.kind, [0.0, 0.0, 0.0, 0.0])
            for i, value in enumerate((1.0, loss.answer, loss.auxiliary, loss.right)):
                row[i] += value
            if curriculum.learned(batch.kind, loss.right) and batch.kind == "audio":
                maker.forget_clips()
            if step % LOG_EVERY == 0:
                line = {
                    "step": step,
                    "minutes": round((before + elapsed) / 60, 2),
                    "levels": [curriculum.image, curriculum.audio],
                    # answer loss, auxiliary loss, share of tokens right
                    **{k: [round(x / r[0], 4) for x in r[1:]] for k, r in sums.items()},
                    "seconds": {k: round(v, 1) for k, v in clock.spent.items()},
                }
                log.write(json.dumps(line) + "\n")
                log.flush()
                sums, clock.spent = {}, {}
            if time.monotonic() - saved > SAVE_EVERY:
                checkpoint.save(path, model, average, optimizer, step, before + elapsed, curriculum)
                saved = time.monotonic()
    checkpoint.save(path, model, average, optimizer, step, before + time.monotonic() - start, curriculum)


if __name__ == "__main__":
    main()
