"""The training loop that all parts share: time limit, rate, average, checkpoints, log."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import checkpoint, places
from .checkpoint import Average
from .muon import Muon

SAVE_EVERY = 180  # seconds of processor time
LOG_EVERY = 10  # steps
WARM_UP = 20  # steps

# -> of each batch of a step, its loss and figures for the log
Step = Callable[[int], Iterable[tuple[Tensor, dict[str, float]]]]


def arguments(description: str | None, name: str) -> argparse.ArgumentParser:
    ap = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--name", default=name, help="of the checkpoint; training goes on from it if it is there")
    ap.add_argument("--minutes", type=float, required=True, help="of processor time: a halted process loses nothing")
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--finish", action="store_true", help="let the rate fall to nothing: for the last run")
    return ap


def has_fast_bf16() -> bool:
    """AMX multiplies bf16 matrices about five times faster than AVX-512 does f32; without it bf16 is slower."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()


def prepare(seed: int) -> None:
    torch.set_num_threads(1)  # the rest of the machine is for others
    torch.manual_seed(seed)


# Tables of which a step sees a few rows, and kernels that are no matrices.
TABLES = ("token_embd", "position_embd", "conv_dw")


def make_optimizers(module: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for matrices, Adam for the rest. `run` sets the rates."""
    learned = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    matrices = [p for n, p in learned if p.ndim == 2 and not any(table in n for table in TABLES)]
    others = [p for n, p in learned if not any(p is m for m in matrices)]
    adam = torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0, fused=True)
    return [Muon(matrices, lr=0.0), adam]


def share_gradients(module: nn.Module, stopping: bool) -> bool:
    """Of several processes, each with a batch of its own: the mean of what they learned. Nothing where there is one.

    -> whether any of them is to stop: all stop after the same step, or one would wait for another for ever."""
    if not dist.is_initialized():
        return stopping
    learned = [p for p in module.parameters() if p.requires_grad]
    had = torch.tensor([float(p.grad is not None) for p in learned] + [float(stopping)])
    parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in learned]
    flat = torch.cat([*parts, had])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    *grads, had = flat.split([*(p.numel() for p in learned), len(had)])
    for p, grad, there in zip(learned, grads, had, strict=False):
        p.grad = grad.view_as(p) if there > 0 else None
    return bool(had[-1] > 0)


def run(args: argparse.Namespace, module: nn.Module, step_of: Step, resumed: Callable[[int], None]) -> None:
    """Trains until --minutes of processor time are over or SIGTERM comes; the checkpoint is written either way.

    `resumed` is told the step at which training begins, before the first: for another seed of the data."""
    optimizers, average = make_optimizers(module), Average(module)
    path, step, before = places.CHECKPOINTS / f"{args.name}.pt", 0, 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        old = checkpoint.load(path)
        module.load_state_dict(old["model"])
        for optimizer, state in zip(optimizers, old["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        average.state, step, before = old["average"], old["step"], old["seconds"]
    resumed(step)
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    bf16 = has_fast_bf16()
    start = saved = time.process_time()
    sums: dict[str, list[float]] = {}
    # All processes know the same; the first writes it down.
    first_process = not dist.is_initialized() or dist.get_rank() == 0
    with (path.with_suffix(".jsonl") if first_process else Path(os.devnull)).open("a") as log:
        log.write(json.dumps({"begins": step, "pid": os.getpid(), **vars(args)}, default=str) + "\n")
        while not stopping:
            progress = (time.process_time() - start) / (60 * args.minutes)
            fall = max(0.0, 1 - progress) if args.finish else 1.0
            rate = args.rate * min(1.0, (step + 1) / WARM_UP) * fall
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            seen: list[tuple[str, float]] = []
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                for loss, figures in step_of(step):
                    loss.backward()
                    seen += figures.items()
            stopping = share_gradients(module, stopping or progress >= 1)
            seen.append(("gradient", float(torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0))))
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            average.update(module, step)
            step += 1
            for key, value in seen:
                row = sums.setdefault(key, [0.0, 0.0])
                row[0] += value
                row[1] += 1
            if step % LOG_EVERY == 0:
                minutes = (before + time.process_time() - start) / 60
                means = {k: round(s / n, 4) for k, (s, n) in sums.items()}
                log.write(
                    json.dumps({"step": step, "minutes": round(minutes, 2), "rate": round(rate, 6), **means}) + "\n"
                )
                log.flush()
                sums = {}
            if first_process and time.process_time() - saved > SAVE_EVERY:
                checkpoint.save(path, module, average, optimizers, step, before + time.process_time() - start)
                saved = time.process_time()
    if first_process:
        checkpoint.save(path, module, average, optimizers, step, before + time.process_time() - start)
