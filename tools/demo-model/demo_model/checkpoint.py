"""Checkpoints: written whole or not at all, and enough to go on from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


class Average:
    """A moving average of the weights: steadier than the last step's, so it is what is exported."""

    def __init__(self, model: nn.Module) -> None:
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        # The first steps count for little: they are far from where training goes.
        keep = min(0.995, (1 + step) / (10 + step))
        own = [self.state[k] for k, v in model.state_dict().items() if v.is_floating_point()]
        new = [v for v in model.state_dict().values() if v.is_floating_point()]
        torch._foreach_lerp_(own, new, 1 - keep)


def save(
    path: Path,
    model: nn.Module,
    average: Average,
    optimizers: Sequence[torch.optim.Optimizer],
    step: int,
    seconds: float,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    content = {
        "model": model.state_dict(),
        "average": average.state,
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
        "seconds": seconds,
    }
    torch.save(content, part)
    os.replace(part, path)


def load(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def averaged(path: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint: what is exported, and what joining starts from."""
    return load(path)["average"]
