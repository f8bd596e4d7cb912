"""What llama.cpp does to a picture before the vision encoder (mtmd-image.cpp, dynamic size)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .config import VisionConfig


@dataclass(frozen=True)
class Placement:
    """Where a picture comes to lie: scaled to (width, height), at (left, top) of a black canvas."""

    canvas: tuple[int, int]
    width: int
    height: int
    left: int
    top: int


def target_size(w: int, h: int, cfg: VisionConfig) -> tuple[int, int]:
    """Width and height of the canvas: whole cells, about the aspect, within the token limits. Float32 as in C++."""
    f, cell = np.float32, cfg.cell
    least, most = cfg.min_tokens * cell * cell, cfg.max_tokens * cell * cell

    def nearest(x: float) -> int:
        return math.floor(float(f(x) / f(cell)) + 0.5) * cell

    W, H = max(cell, nearest(w)), max(cell, nearest(h))
    if most < W * H:
        beta = np.sqrt(f(h) * f(w) / f(most))
        H = max(cell, math.floor(float(f(h) / beta / f(cell))) * cell)
        W = max(cell, math.floor(float(f(w) / beta / f(cell))) * cell)
    elif least > W * H:
        beta = np.sqrt(f(least) / (f(h) * f(w)))
        H = math.ceil(float(f(h) * beta / f(cell))) * cell
        W = math.ceil(float(f(w) * beta / f(cell))) * cell
    return W, H


def placement(w: int, h: int, cfg: VisionConfig) -> Placement:
    f = np.float32
    W, H = target_size(w, h, cfg)
    scale = min(f(W) / f(w), f(H) / f(h))
    width = min(math.ceil(float(f(w) * scale)), W)
    height = min(math.ceil(float(f(h) * scale)), H)
    return Placement((W, H), width, height, (W - width) // 2, (H - height) // 2)


def canvas(img: Image.Image, cfg: VisionConfig) -> np.ndarray:
    """-> uint8 [H, W, 3]. llama.cpp's bicubic filter is Pillow's, byte for byte."""
    place = placement(*img.size, cfg)
    img = img.convert("RGB")
    if img.size == place.canvas:
        return np.asarray(img)
    out = Image.new("RGB", place.canvas)
    out.paste(img.resize((place.width, place.height), Image.Resampling.BICUBIC), (place.left, place.top))
    return np.asarray(out)


def pixels(img: Image.Image, cfg: VisionConfig) -> Tensor:
    """-> float32 [3, H, W] in 0..1 (Gemma 4's mean and deviation are 0 and 1)."""
    x = canvas(img, cfg).astype(np.float32) / np.float32(255)
    x = (x - np.array(cfg.mean, np.float32)) / np.array(cfg.std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))
