"""The vision encoder (projector `gemma4v`)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import VisionConfig
from .ops import ACTIVATIONS, ClipLinear, RMSNorm, Weight, attend, conv2d, rms, rope_angles, rotate


class VisionBlock(nn.Module):
    def __init__(self, c: VisionConfig) -> None:
        super().__init__()
        self.c, E, d = c, c.n_embd, c.n_embd // c.n_head
        for name, fill in (("ln1", 1.0), ("ln2", 1.0), ("attn_post_norm", 0.3), ("ffn_post_norm", 0.3)):
            setattr(self, name, RMSNorm(E, c.eps, fill))
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            setattr(self, name, ClipLinear(E, E))
        # High enough that one neighbour can be picked out of hundreds of patches, low enough that all are seen first.
        self.attn_q_norm, self.attn_k_norm = RMSNorm(d, c.eps, 0.6), RMSNorm(d, c.eps, 0.6)
        self.ffn_gate, self.ffn_up, self.ffn_down = ClipLinear(E, c.n_ff), ClipLinear(E, c.n_ff), ClipLinear(c.n_ff, E)
        self.out_scale = Weight(1, fill=1.0) if c.has_out_scale else None

    def forward(self, x: Tensor, x_angles: tuple[Tensor, Tensor], y_angles: tuple[Tensor, Tensor]) -> Tensor:
        c = self.c
        B, N, E = x.shape
        d = E // c.n_head

        def turn(t: Tensor) -> Tensor:
            # The first half of a head turns with x, the second with y, NEOX order inside each half.
            return rotate(rotate(t, x_angles), y_angles, offset=d // 2)

        h = self.ln1(x)
        q = turn(self.attn_q_norm(self.attn_q(h).view(B, N, c.n_head, d)))
        k = turn(self.attn_k_norm(self.attn_k(h).view(B, N, c.n_head, d)))
        v = rms(self.attn_v(h).view(B, N, c.n_head, d), c.eps)
        x = x + self.attn_post_norm(self.attn_out(attend(q, k, v)))
        h = self.ln2(x)
        x = x + self.ffn_post_norm(self.ffn_down(ACTIVATIONS[c.act](self.ffn_gate(h)) * self.ffn_up(h)))
        return x if self.out_scale is None else x * self.out_scale.weight


def first_positions(n: int, width: int) -> Tensor:
    """[2, n, width] to start from: waves from every second patch to hundreds of them, since pooling would lose which
    patch of its cell a letter was in; and a constant, on which attention by distance alone can stand (q and k have no
    bias)."""
    place = torch.arange(n, dtype=torch.float32)[:, None]
    angle = place * math.pi / 2 ** torch.arange(0, 8)
    waves = torch.cat([angle.cos(), angle.sin()], 1)
    x, y = (waves @ torch.randn(waves.shape[1], width) * (0.3 / math.sqrt(8)) for _ in range(2))
    return torch.stack([x + 0.3 * torch.randn(width), y])


class VisionEncoder(nn.Module):
    def __init__(self, c: VisionConfig) -> None:
        super().__init__()
        self.cfg, E = c, c.n_embd
        self.v, self.mm = nn.Module(), nn.Module()
        self.v.patch_embd = Weight(E, 3, c.patch, c.patch, std=1 / math.sqrt(3 * c.patch**2))
        self.v.position_embd = Weight(2, c.n_pos, E)  # [0] by x, [1] by y
        self.v.position_embd.weight.data.copy_(first_positions(c.n_pos, E))
        if c.has_std:
            self.v.std_bias, self.v.std_scale = nn.Parameter(torch.zeros(E)), nn.Parameter(torch.ones(E))
        self.v.blk = nn.ModuleList([VisionBlock(c) for _ in range(c.n_layer)])
        self.mm.input_projection = ClipLinear(E, c.n_out)

    def compile_blocks(self) -> None:
        """For training: fuses what is many small operations over large tensors, 40 % of a step. Takes half a minute once,
        then serves every size of picture. Needs a C++ compiler."""
        for block in self.v.blk:
            block.compile(dynamic=True)

    def forward(self, img: Tensor) -> Tensor:
        """img [B,3,H,W] in 0..1, sides multiples of a cell -> [B, tokens, n_out], row by row."""
        return self.pool(self.patches(img), img.shape[3] // self.cfg.patch)

    def patches(self, img: Tensor) -> Tensor:
        """-> [B, patches, n_embd], row by row, before they are pooled to tokens."""
        c = self.cfg
        x = conv2d(img * 2 - 1, self.v.patch_embd.weight, stride=c.patch)
        _, E, Hp, Wp = x.shape
        x = x.flatten(2).transpose(1, 2).float()
        i = torch.arange(Hp * Wp)
        px, py = i % Wp, i // Wp
        x = x + self.v.position_embd.weight[0][px] + self.v.position_embd.weight[1][py]
        half = E // c.n_head // 2
        angles = rope_angles(px, half, c.rope_base), rope_angles(py, half, c.rope_base)
        for b in self.v.blk:
            x = b(x, *angles)
        return x

    def added_by_patches(self, x: Tensor, columns: int) -> Tensor:
        """The output of `patches`, so many tokens to a row -> [B, tokens, n_merge², n_out]: what each patch adds to its
        token, upper ones first. Without `std_bias`, they add up to the token. Only training asks."""
        c = self.cfg
        B, N, E = x.shape
        m = c.n_merge
        rows = N // (columns * m * m)
        cells = x.view(B, rows, m, columns, m, E).transpose(2, 3).reshape(B, rows * columns, m * m, E)
        if c.has_std:
            cells = cells * self.v.std_scale
        scale = cells.mean(2, keepdim=True).square().mean(-1, keepdim=True).add(c.eps / E).rsqrt()
        return self.mm.input_projection(cells * scale / (m * m))

    def pool(self, x: Tensor, columns: int) -> Tensor:
        """The output of `patches`, so many to a row -> [B, tokens, n_out]."""
        c = self.cfg
        B, N, E = x.shape
        grid = x.transpose(1, 2).reshape(B, E, N // columns, columns)
        x = F.avg_pool2d(grid, c.n_merge).flatten(2).transpose(1, 2)
        x = x * math.sqrt(E)
        if c.has_std:
            x = (x - self.v.std_bias) * self.v.std_scale
        return self.mm.input_projection(rms(x, c.eps))
