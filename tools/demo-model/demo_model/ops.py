"""Operations that all three parts share. Every module's state_dict key is a GGUF tensor name."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLT_MAX = float(np.finfo(np.float32).max)


class Numerics:
    """`emulate_f16`: ggml's CPU backend looks gelu up in an f16 table and rounds the input and kernel of conv2d to f16.
    Switched on only to compare closely with llama.cpp: training needs smooth gradients.

    `fused`: small operations in a row are compiled to one. A third off a step of the text model, for half a minute at the
    beginning; needs a C++ compiler."""

    emulate_f16 = False
    fused = False


P = ParamSpec("P")
R = TypeVar("R")


def fusible(f: Callable[P, R]) -> Callable[P, R]:
    """`f`, compiled once for all shapes where `Numerics.fused` is set."""
    compiled: Callable[P, R] | None = None

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal compiled
        if not Numerics.fused:
            return f(*args, **kwargs)
        compiled = compiled or torch.compile(f, dynamic=True)
        return compiled(*args, **kwargs)

    return call


def _table(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return f(x.half().float()).half().float()


def gelu(x: Tensor) -> Tensor:
    """ggml's gelu: the tanh form."""

    def tanh_form(t: Tensor) -> Tensor:
        return F.gelu(t, approximate="tanh")

    if not Numerics.emulate_f16:
        return tanh_form(x)
    return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, _table(tanh_form, x)))


def gelu_quick(x: Tensor) -> Tensor:
    def quick(t: Tensor) -> Tensor:
        return t * torch.sigmoid(1.702 * t)

    return _table(quick, x) if Numerics.emulate_f16 else quick(x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": gelu, "gelu_quick": gelu_quick, "silu": F.silu}


def conv2d(x: Tensor, w: Tensor, b: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    if Numerics.emulate_f16:
        x, w = x.half().float(), w.half().float()
    return F.conv2d(x, w, b, stride=stride, padding=padding)


@fusible
def rms(x: Tensor, eps: float) -> Tensor:
    """RMS norm without a weight."""
    return F.rms_norm(x, (x.shape[-1],), None, eps)


@fusible
def weighted_rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight.to(x.dtype), eps)


class RMSNorm(nn.Module):
    """The weight is plain: no `1 + w` as in Gemma 2 and 3."""

    def __init__(self, n: int, eps: float, fill: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n,), fill))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return weighted_rms(x, self.weight, self.eps)


class Weight(nn.Module):
    """A bare tensor `<name>.weight`, perhaps with `<name>.bias`."""

    def __init__(
        self, *shape: int, std: float = 0.0, fill: float = 0.0, trainable: bool = True, bias: int | None = None
    ) -> None:
        super().__init__()
        w = torch.randn(*shape) * std + fill
        if trainable:
            self.weight = nn.Parameter(w)
        else:
            self.register_buffer("weight", w)
        self.bias = nn.Parameter(torch.zeros(bias)) if bias else None


def linear(n_in: int, n_out: int) -> nn.Linear:
    return nn.Linear(n_in, n_out, bias=False)


class ClipLinear(nn.Module):
    """Gemma4ClippableLinear: clamps input and output by four scalars; the bias is added after the clamp."""

    def __init__(self, n_in: int, n_out: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        for name in ("input", "output"):
            self.register_buffer(f"{name}_min", torch.tensor([-FLT_MAX]))
            self.register_buffer(f"{name}_max", torch.tensor([FLT_MAX]))
        # Set by load_state: a clamp that never bites is a pass over memory for nothing, and slows training.
        self.clamps = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.clamps:
            return F.linear(x, self.weight, self.bias)
        x = F.linear(torch.minimum(torch.maximum(x, self.input_min), self.input_max), self.weight)
        x = torch.minimum(torch.maximum(x, self.output_min), self.output_max)
        return x if self.bias is None else x + self.bias


def rope_angles(pos: Tensor, n_rot: int, base: float, factors: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """cos and sin [T, n_rot/2]. A factor divides its pair's angle: 1e30 leaves the pair unturned."""
    half = n_rot // 2
    freq = torch.tensor(float(base), dtype=torch.float64) ** (-2.0 * torch.arange(half, dtype=torch.float64) / n_rot)
    if factors is not None:
        freq = freq / factors[:half].double()
    angle = pos.double()[:, None] * freq
    return angle.cos().float(), angle.sin().float()


@fusible
def gelu_gated(gate: Tensor, up: Tensor) -> Tensor:
    return gelu(gate) * up


@fusible
def rotate(x: Tensor, angles: tuple[Tensor, Tensor], offset: int = 0) -> Tensor:
    """x [..., T, H, D]: turns the pairs (i, i + n_rot/2) from `offset` on (NEOX order)."""
    cos, sin = (t.to(x.dtype)[..., None, :] for t in angles)
    half = cos.shape[-1]
    a, b = x[..., offset : offset + half], x[..., offset + half : offset + 2 * half]
    parts = [x[..., :offset], a * cos - b * sin, a * sin + b * cos, x[..., offset + 2 * half :]]
    return torch.cat([p for p in parts if p.shape[-1]], -1)


@fusible
def masked_softmax(scores: Tensor, seen: Tensor) -> Tensor:
    return scores.masked_fill(~seen, float("-inf")).softmax(-1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """q [B,Q,H,D], k and v [B,T,G,D] with H a multiple of G -> [B,Q,H*D]. `mask` [B or 1,1,Q,T] is True where a query
    sees a key. Attention scale is 1: the q and k norms carry it.

    Written out: the gradient of PyTorch's fused attention is three to six times slower on a CPU at these lengths."""
    B, Q, H, D = q.shape
    T, G = k.shape[1:3]
    # Queries that share a key head are rows of one product, so keys need no repeating.
    q = q.view(B, Q, G, H // G, D).permute(0, 2, 3, 1, 4).reshape(B, G, H // G * Q, D)
    s = torch.matmul(q, k.permute(0, 2, 3, 1).to(q.dtype))
    if mask is not None:
        s = masked_softmax(s.view(B, G, H // G, Q, T), mask[:, :, None]).view(B, G, H // G * Q, T)
    else:
        s = s.softmax(-1)
    out = torch.matmul(s.to(v.dtype), v.transpose(1, 2))
    return out.view(B, G, H // G, Q, D).permute(0, 3, 1, 2, 4).reshape(B, Q, H * D)
