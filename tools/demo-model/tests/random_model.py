"""Random models of odd shapes in which every tensor matters, and media to show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from demo_model import places
from demo_model.audio import AudioEncoder
from demo_model.audio_input import write_wav
from demo_model.config import AudioConfig, TextConfig, VisionConfig
from demo_model.gguf_file import write_mmproj, write_text
from demo_model.text import TextModel
from demo_model.vision import VisionEncoder
from demo_model.vocabulary import demo_vocabulary

WIDTH = 96


def _perturb(m: nn.Module, g: torch.Generator) -> None:
    """Random factors and offsets, clamps that bite."""
    for name, p in m.state_dict().items():
        if name == "rope_freqs.weight":
            half = len(p) // 2
            p.copy_(torch.cat([1 + 3 * torch.rand(half, generator=g), torch.full((len(p) - half,), 1e30)]))
        elif name.endswith(("_min", "_max")):
            p.copy_((0.8 + torch.rand(1, generator=g)) * (-1 if name.endswith("_min") else 1))
        elif "layer_output_scale" in name:
            p.copy_(0.5 + torch.rand(1, generator=g))
        elif p.ndim == 1:
            # Not around their gentle starting values: branches of full strength make differences plain to see.
            p = p.fill_(1.0) if "norm" in name or name.endswith(("ln1.weight", "ln2.weight")) else p
            p.copy_(p * (1 + 0.4 * (torch.rand(p.shape, generator=g) - 0.5)) + 0.2 * torch.randn(p.shape, generator=g))
        else:
            p.copy_((p * (1 + 0.5 * torch.randn(p.shape, generator=g))).half().float())


@torch.no_grad()
def write_random_pair(folder: Path, seed: int, every_option: bool) -> tuple[Path, Path]:
    """With every optional tensor, or with none."""
    torch.manual_seed(seed)
    o, g = every_option, torch.Generator().manual_seed(seed)
    vocabulary = demo_vocabulary()
    text = TextModel(
        TextConfig(
            n_vocab=len(vocabulary),
            n_embd=WIDTH,
            n_layer=6,
            n_head=[4] * 6,
            n_head_kv=[2, 1, 2, 1, 2, 1] if o else [2] * 6,
            n_ff=[128, 160, 128, 160, 256, 224],
            swa=[True, False] * 3,
            hd_full=48,
            hd_swa=32,
            n_rot_full=48,
            n_rot_swa=32,
            base_full=1e5,
            base_swa=5e3,
            window=64,
            n_shared=2 if o else 0,
            ple=24 if o else 0,
            softcap=20.0 if o else 0.0,
            tied=o,
            has_v=[True, False, True, True, True, True] if o else None,
            has_out_scale=o,
        )
    )
    vision = VisionEncoder(
        VisionConfig(
            n_embd=64,
            n_ff=96,
            n_layer=3,
            n_head=4,
            n_out=WIDTH,
            patch=24 if o else 16,
            n_merge=2 if o else 3,
            n_pos=512,
            act="gelu" if o else "silu",
            has_std=o,
            has_out_scale=o,
        )
    )
    audio = AudioEncoder(
        AudioConfig(
            n_embd=64,
            n_ff=96,
            n_layer=3,
            n_head=4,
            n_out=WIDTH,
            n_mel=80 if o else 128,
            c0=16,
            c1=8,
            n_proj=56,
            conv_bias=o,
            inp_bias=o,
            out_bias=o,
            k_scale=o,
            soft_norm=o,
        )
    )
    for m in (text, vision, audio):
        _perturb(m, g)
    pair = folder / "text.gguf", folder / "mmproj.gguf"
    write_text(pair[0], text, vocabulary, places.TEMPLATE.read_text(), "random")
    write_mmproj(pair[1], vision, audio, "random")
    return pair


def write_pictures(folder: Path) -> list[Path]:
    """One of whole cells, one that is enlarged and centred on black, one of an odd size."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:384, 0:432]
    smooth = np.stack([x * 255 // 432, y * 255 // 384, ((x // 24) * 37 + (y // 24) * 91) % 256], -1).astype(np.uint8)
    pictures = {
        "whole": smooth,
        "small": smooth[:40, :250],
        "odd": rng.integers(0, 256, (240, 700, 3), dtype=np.uint8),
    }
    for name, array in pictures.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in pictures]


def write_recordings(folder: Path) -> list[Path]:
    """Noise, a chirp, and one shorter than a window."""
    n = 16000 * 3 + 77
    noise = np.random.default_rng(3).normal(0, 0.12, n)
    t = np.arange(n) / 16000
    chirp = 0.25 * np.sin(2 * np.pi * (200 + 900 * t) * t) + 0.1 * noise
    recordings = {"noise": noise, "chirp": chirp, "short": chirp[:100]}
    for name, samples in recordings.items():
        write_wav(folder / f"{name}.wav", samples)
    return [folder / f"{name}.wav" for name in recordings]
