"""The text model (GGUF architecture `gemma4`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TextConfig
from .ops import RMSNorm, Weight, attend, gelu_gated, linear, rms, rope_angles, rotate

Segment = tuple[Literal["text", "image", "audio"], Sequence[int] | Tensor]
Angles = tuple[Tensor, Tensor]


@dataclass
class Queries:
    """What a layer looks from, and what it sees from there."""

    angles: Angles  # [T, n_rot/2], or [B, A, n_rot/2]
    mask: Tensor  # [B or 1, 1, T or A, T]

    def at(self, places: Tensor) -> Queries:
        cos, sin = self.angles
        B, T = len(places), self.mask.shape[-1]
        rows = self.mask[:, 0].expand(B, -1, -1).gather(1, places[..., None].expand(-1, -1, T))
        return Queries((cos[places], sin[places]), rows[:, None])


class TextBlock(nn.Module):
    def __init__(self, c: TextConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.swa, self.eps = layer, c.swa[layer], c.eps
        self.watched: Tensor | None = None
        self.missed: Tensor | None = None
        self.hd = c.hd_swa if self.swa else c.hd_full
        self.nh, self.nkv = c.n_head[layer], c.n_head_kv[layer]
        owned = c.n_layer - c.n_shared
        # A sharing layer reads the last owned layer of its kind: owned-2 slides, owned-1 sees all.
        self.kv_from = layer if layer < owned else owned - (2 if self.swa else 1)
        E = c.n_embd
        # Branches start small, so that the residual stream does not drown the embeddings at first.
        for name, fill in (("attn_norm", 1.0), ("post_attention_norm", 0.3), ("ffn_norm", 1.0), ("post_ffw_norm", 0.3)):
            setattr(self, name, RMSNorm(E, c.eps, fill))
        self.attn_q, self.attn_output = linear(E, self.hd * self.nh), linear(self.hd * self.nh, E)
        # Scale 1 over unit-norm q and k would start with scores of deviation sqrt(hd): a near one-hot softmax.
        self.attn_q_norm = RMSNorm(self.hd, c.eps, self.hd**-0.25)
        self.attn_v = None
        if layer < owned:
            self.attn_k = linear(E, self.hd * self.nkv)
            self.attn_k_norm = RMSNorm(self.hd, c.eps, self.hd**-0.25)
            if c.has_v is None or c.has_v[layer]:
                self.attn_v = linear(E, self.hd * self.nkv)
        self.ffn_gate, self.ffn_up = linear(E, c.n_ff[layer]), linear(E, c.n_ff[layer])
        self.ffn_down = linear(c.n_ff[layer], E)
        if c.ple:
            self.inp_gate, self.proj, self.post_norm = linear(E, c.ple), linear(c.ple, E), RMSNorm(E, c.eps, 0.3)
        self.layer_output_scale = Weight(1, fill=1.0) if c.has_out_scale else None

    def forward(
        self,
        x: Tensor,
        ple: Tensor | None,
        queries: Queries,
        angles: Angles,
        kv: dict[int, tuple[Tensor, Tensor]],
        narrow: Tensor | None,
    ) -> Tensor:
        """`kv` collects the keys and values of the layers that own theirs. From the layer that is given `narrow` on, only
        those of the places go on ([B, places]); `queries` and `ple` are of what goes on, `angles` of what came."""
        B, T, _ = x.shape
        h = self.attn_norm(x)
        if self.kv_from == self.layer:
            k = self.attn_k(h).view(B, T, self.nkv, self.hd)
            v = k if self.attn_v is None else self.attn_v(h).view(B, T, self.nkv, self.hd)
            kv[self.layer] = (rotate(self.attn_k_norm(k), angles), rms(v, self.eps))
        if narrow is not None:
            x, h = at(x, narrow), at(h, narrow)
        q = rotate(self.attn_q_norm(self.attn_q(h).view(B, -1, self.nh, self.hd)), queries.angles)
        k, v = kv[self.kv_from]
        if self.watched is not None:
            self.missed = looked_past(q[:, :, 0], k[:, :, 0], queries.mask[:, 0], self.watched)
        x = x + self.post_attention_norm(self.attn_output(attend(q, k, v, queries.mask)))
        h = self.ffn_norm(x)
        x = x + self.post_ffw_norm(self.ffn_down(gelu_gated(self.ffn_gate(h), self.ffn_up(h))))
        if ple is not None:
            x = x + self.post_norm(self.proj(gelu_gated(self.inp_gate(x), ple)))
        # Scales the whole residual stream, not just a branch.
        return x if self.layer_output_scale is None else x * self.layer_output_scale.weight


def at(x: Tensor, places: Tensor) -> Tensor:
    """x [B,T,E], places [B,A] -> [B,A,E]."""
    return x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))


def looked_past(q: Tensor, k: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """How far a head looks past where it should look: the mean of -log of its attention there. q, k [B,T,D]; places
    [B,T], -1 for "anywhere". Only training asks."""
    score = torch.matmul(q, k.transpose(1, 2).to(q.dtype)).float().masked_fill(~mask, float("-inf"))
    there = places >= 0
    chosen = score.log_softmax(-1).gather(2, places.clamp(min=0)[..., None])[..., 0]
    return -(chosen.masked_fill(~there, 0).sum() / there.sum().clamp(min=1))


class TextModel(nn.Module):
    def __init__(self, c: TextConfig) -> None:
        super().__init__()
        self.cfg = c
        self.token_embd = nn.Embedding(c.n_vocab, c.n_embd)
        nn.init.normal_(self.token_embd.weight, std=1 / math.sqrt(c.n_embd))
        self.output_norm = RMSNorm(c.n_embd, c.eps)
        self.output = None if c.tied else linear(c.n_embd, c.n_vocab)
        if c.ple:
            self.per_layer_token_embd = nn.Embedding(c.n_vocab, c.ple * c.n_layer)
            nn.init.normal_(self.per_layer_token_embd.weight, std=1 / math.sqrt(c.ple))
            self.per_layer_model_proj = linear(c.n_embd, c.ple * c.n_layer)
            self.per_layer_proj_norm = RMSNorm(c.ple, c.eps)
        self.rope_freqs = Weight(c.hd_full // 2, fill=1.0, trainable=False)
        # Proportional RoPE: only the first quarter of the pairs turns on full layers.
        self.rope_freqs.weight[max(1, c.hd_full // 8) :] = 1e30
        self.blk = nn.ModuleList([TextBlock(c, i) for i in range(c.n_layer)])

    def build_inputs(self, segments: Sequence[Segment]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> ids, media, is_media, span of a batch of one. Text segments hold token ids (begin and end markers of media
        among them), media segments embeddings [N, E]."""
        ids, media, is_media, span = [], [], [], []
        for number, (kind, value) in enumerate(segments, 1):
            n = len(value)
            text = kind == "text"
            ids.append(torch.as_tensor(value, dtype=torch.long) if text else torch.zeros(n, dtype=torch.long))
            media.append(torch.zeros(n, self.cfg.n_embd) if text else torch.as_tensor(value))
            is_media.append(torch.full((n,), not text))
            # Only pictures attend both ways.
            span.append(torch.full((n,), number if kind == "image" else 0, dtype=torch.long))
        return torch.cat(ids)[None], torch.cat(media)[None], torch.cat(is_media)[None], torch.cat(span)[None]

    def masks(self, T: int, span: Tensor | None) -> tuple[Tensor, Tensor]:
        """-> mask of the sliding layers, mask of the full layers: True where a query (row) sees a key."""
        pos = torch.arange(T)
        distance = pos[:, None] - pos[None, :]
        full = (distance >= 0)[None, None]
        sliding = full
        if span is not None and self.cfg.bidirectional_images:
            sliding = sliding | ((span[:, :, None] == span[:, None, :]) & (span[:, :, None] > 0))[:, None]
        # Keys that come later have a negative distance: the window never hides them.
        return sliding & (distance < self.cfg.window)[None, None], full

    def forward(
        self,
        ids: Tensor,
        media: Tensor | None = None,
        is_media: Tensor | None = None,
        span: Tensor | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """ids [B,T]; media [B,T,E]; is_media [B,T]; span [B,T], the same non-zero number for tokens of one
        picture, or None without pictures.
        -> logits [B,T,V], soft-capped. Pad on the right: causal masks keep the padding out."""
        x = self.hidden(ids, media, is_media, span)
        return self.head(x[:, -1:] if last_only else x)

    def hidden(
        self,
        ids: Tensor,
        media: Tensor | None = None,
        is_media: Tensor | None = None,
        span: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """-> [B,T,E], or [B,A,E] of the places in `wanted` [B,A] only, which is cheaper: the last layer that owns keys is
        the last that is asked anything of the other places."""
        c = self.cfg
        B, T = ids.shape
        x = self.token_embd(ids) * math.sqrt(c.n_embd)
        if media is not None and is_media is not None:
            x = torch.where(is_media[..., None], media.to(x.dtype), x)  # media are not scaled
            ids = ids.masked_fill(is_media, 0)  # and take their per-layer embedding from row 0, <pad>
        per_layer: list[Tensor | None] = [None] * c.n_layer
        if c.ple:
            p = (self.per_layer_model_proj(x) / math.sqrt(c.n_embd)).view(B, T, c.n_layer, c.ple)
            e = self.per_layer_token_embd(ids).view(B, T, c.n_layer, c.ple) * math.sqrt(c.ple)
            per_layer = list(((self.per_layer_proj_norm(p) + e) / math.sqrt(2.0)).unbind(2))
        pos = torch.arange(T)
        # rope_freqs only on full layers; sliding layers have their own base and width.
        full_angles = rope_angles(pos, c.n_rot_full, c.base_full, self.rope_freqs.weight)
        swa_angles = rope_angles(pos, c.n_rot_swa, c.base_swa)
        swa_mask, full_mask = self.masks(T, span)
        swa, full = Queries(swa_angles, swa_mask), Queries(full_angles, full_mask)
        kv: dict[int, tuple[Tensor, Tensor]] = {}
        last_owner = c.n_layer - c.n_shared - 1
        for i, (block, ple) in enumerate(zip(self.blk, per_layer, strict=True)):
            narrow = wanted if i == last_owner else None
            if narrow is not None:
                swa, full = swa.at(narrow), full.at(narrow)
            if wanted is not None and i >= last_owner and ple is not None:
                ple = at(ple, wanted)
            x = block(x, ple, swa if block.swa else full, swa_angles if block.swa else full_angles, kv, narrow)
        return self.output_norm(x)

    def head(self, x: Tensor) -> Tensor:
        z = F.linear(x, self.token_embd.weight) if self.output is None else self.output(x)
        return torch.tanh(z / self.cfg.softcap) * self.cfg.softcap if self.cfg.softcap else z
