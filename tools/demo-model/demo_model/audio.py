"""The audio encoder (projector `gemma4a`): a conformer that only looks back."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import AudioConfig
from .ops import ClipLinear, RMSNorm, Weight, conv2d, linear, rms

EPS = 1e-6
# A query sees itself and the 11 keys before it.
PAST = 12


class AudioBlock(nn.Module):
    def __init__(self, c: AudioConfig) -> None:
        super().__init__()
        self.c, E, d = c, c.n_embd, c.n_embd // c.n_head
        norms = ("ffn_norm", "ffn_post_norm", "ffn_norm_1", "ffn_post_norm_1", "attn_pre_norm", "attn_post_norm")
        for name in (*norms, "ln2", "conv_norm", "norm_conv"):
            setattr(self, name, RMSNorm(E, EPS))
        for name in ("attn_q", "attn_k", "attn_v", "attn_out", "conv_pw2"):
            setattr(self, name, ClipLinear(E, E))
        self.attn_k_rel = linear(E, E)  # never clamped
        self.per_dim_scale = Weight(d, fill=math.log(2.0))  # GGUF stores it after softplus
        self.per_dim_k_scale = Weight(d, fill=1.0) if c.k_scale else None
        self.ffn_up, self.ffn_down = ClipLinear(E, c.n_ff), ClipLinear(c.n_ff, E)
        self.ffn_up_1, self.ffn_down_1 = ClipLinear(E, c.n_ff), ClipLinear(c.n_ff, E)
        self.conv_pw1 = ClipLinear(E, 2 * E)
        self.conv_dw = Weight(E, c.conv_k, std=0.3)

    def attention(self, x: Tensor, pe: Tensor) -> Tensor:
        c = self.c
        B, T, E = x.shape
        H, d = c.n_head, E // c.n_head
        q = self.attn_q(x).view(B, T, H, d) * (d**-0.5 / math.log(2.0)) * self.per_dim_scale.weight
        k = self.attn_k(x).view(B, T, H, d) * (math.log(1.0 + math.e) / math.log(2.0))
        if self.per_dim_k_scale is not None:
            k = k * self.per_dim_k_scale.weight
        v = self.attn_v(x).view(B, T, H, d)

        def band(t: Tensor) -> Tensor:
            """Slot m of query i is key i - (PAST - 1) + m: llama.cpp's blocked attention without its blocks."""
            return F.pad(t, (0, 0, 0, 0, PAST - 1, 0)).unfold(1, PAST, 1)  # [B,T,H,d,PAST]

        rel = self.attn_k_rel(pe).view(PAST, H, d).flip(0)  # row = slot
        s = torch.einsum("bthd,bthdm->bthm", q, band(k)) + torch.einsum("bthd,mhd->bthm", q, rel.to(q.dtype))
        s = torch.tanh(s.float() / 50.0) * 50.0  # soft cap before the mask
        j = torch.arange(T)[:, None] - (PAST - 1) + torch.arange(PAST)[None]
        s = s.masked_fill((j < 0)[None, :, None, :], float("-inf")).softmax(-1)
        return self.attn_out(torch.einsum("bthm,bthdm->bthd", s.to(v.dtype), band(v)).reshape(B, T, E))

    def convolution(self, x: Tensor) -> Tensor:
        # In GGUF, conv_norm comes BEFORE conv_pw1 and norm_conv after the depthwise convolution.
        a, g = self.conv_pw1(self.conv_norm(x)).chunk(2, -1)
        h = a * torch.sigmoid(g)
        # Causal, and as shifted products: on a CPU much faster than conv1d with groups.
        w = self.conv_dw.weight.to(h.dtype)
        K, T = w.shape[1], h.shape[1]
        padded = F.pad(h, (0, 0, K - 1, 0))
        h = sum((padded[:, k : k + T] * w[:, k] for k in range(1, K)), padded[:, :T] * w[:, 0])
        return self.conv_pw2(F.silu(self.norm_conv(h)))

    def forward(self, x: Tensor, pe: Tensor) -> Tensor:
        x = x + 0.5 * self.ffn_post_norm(self.ffn_down(F.silu(self.ffn_up(self.ffn_norm(x)))))
        x = x + self.attn_post_norm(self.attention(self.attn_pre_norm(x), pe))
        x = x + self.convolution(x)
        x = x + 0.5 * self.ffn_post_norm_1(self.ffn_down_1(F.silu(self.ffn_up_1(self.ffn_norm_1(x)))))
        return self.ln2(x)


class AudioEncoder(nn.Module):
    def __init__(self, c: AudioConfig) -> None:
        super().__init__()
        self.cfg, E = c, c.n_embd
        self.a, self.mm = nn.Module(), nn.Module()
        convs = []
        for n_in, n_out in ((1, c.c0), (c.c0, c.c1)):
            conv = Weight(n_out, n_in, 3, 3, std=1 / math.sqrt(9 * n_in), bias=n_out if c.conv_bias else None)
            conv.norm = Weight(n_out, fill=1.0)  # LayerNorm over the channels, weight only
            convs.append(conv)
        self.a.conv1d = nn.ModuleList(convs)
        quarter = (c.n_mel + 3) // 4
        self.a.input_projection = ClipLinear(c.c1 * quarter, E, bias=c.inp_bias)
        self.a.blk = nn.ModuleList([AudioBlock(c) for _ in range(c.n_layer)])
        self.a.pre_encode = nn.Module()
        self.a.pre_encode.out = ClipLinear(E, c.n_proj, bias=c.out_bias)
        self.mm.a = nn.Module()
        self.mm.a.input_projection = ClipLinear(c.n_proj, c.n_out)
        if c.soft_norm:
            self.mm.a.soft_emb_norm = Weight(c.n_proj, fill=1.0)

    def forward(self, mel: Tensor) -> Tensor:
        """mel [B, frames, n_mel], at most 30 s -> [B, frames / 4 rounded up twice, n_out]: 25 a second."""
        x = mel[:, None]
        for conv in self.a.conv1d:
            x = conv2d(x, conv.weight, conv.bias, stride=2, padding=1).permute(0, 2, 3, 1)
            x = F.relu(F.layer_norm(x.float(), (x.shape[-1],), conv.norm.weight, None, EPS)).permute(0, 3, 1, 2)
        x = self.a.input_projection(x.permute(0, 2, 3, 1).flatten(2)).float()  # channel fastest
        n = self.cfg.n_embd // 2
        inv = torch.exp(-torch.arange(n, dtype=torch.float32) * (math.log(10000.0) / max(n - 1, 1)))
        angle = torch.arange(PAST, dtype=torch.float32)[:, None] * inv
        pe = torch.cat([angle.sin(), angle.cos()], 1)  # row = distance
        for b in self.a.blk:
            x = b(x, pe)
        x = rms(self.a.pre_encode.out(x), EPS)
        if self.cfg.soft_norm:
            x = x * self.mm.a.soft_emb_norm.weight
        return self.mm.a.input_projection(x)
