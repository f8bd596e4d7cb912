"""Pictures of printed lines, with the place of every character (which only training uses)."""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..config import VisionConfig
from ..image_input import canvas, placement
from . import fonts, lines

# Characters of one cell that the auxiliary loss names, in reading order.
SLOTS = 4


@dataclass(frozen=True)
class Level:
    """What a picture of the curriculum may be."""

    most_lines: int = 1
    longest: int = lines.MAX
    noise: float = 1.0  # 0: clean and straight
    sizes: tuple[int, int] = (16, 48)


@dataclass
class Picture:
    image: Image.Image
    text: str
    # (character, x, y of its centre, line), in pixels of the picture
    places: list[tuple[str, float, float, int]]


def _layout(
    rng: random.Random, size: tuple[int, int], level: Level, held_out: bool
) -> tuple[list[str], str, int, float] | None:
    """Lines, font, font size and line pitch that fit into `size`; None when nothing does."""
    w, h = size
    font = fonts.pick(rng, held_out)
    count = rng.randint(1, level.most_lines) if level.most_lines > 1 else 1
    texts = [lines.line(rng, rng.randint(max(1, level.longest // 3), level.longest)) for _ in range(count)]
    leading = rng.uniform(1.15, 1.5)
    probe = fonts.load(font, 32)
    widest = max(probe.getlength(t) for t in texts) / 32
    fit = int(min(level.sizes[1], (w - 4) / widest, (h - 4) / (leading * (count - 1) + 1.25)))
    if fit < level.sizes[0]:
        return None
    # Mostly near the largest that fits: a picture is usually cut close to its text.
    px = max(level.sizes[0], int(fit * (1 - 0.4 * rng.random() ** 2)))
    return texts, font, px, leading * px


def _colours(rng: random.Random, noise: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if noise == 0 or rng.random() < 0.4:
        return (255, 255, 255), (0, 0, 0)
    back = tuple(rng.randint(190, 255) for _ in range(3))
    ink = tuple(rng.randint(0, 90) for _ in range(3))
    return (ink, back) if rng.random() < 0.12 else (back, ink)


def _spoil(rng: random.Random, image: Image.Image, noise: float) -> Image.Image:
    if rng.random() < 0.5:
        deviation = rng.uniform(1, 12) * noise
        a = np.asarray(image, np.float32)
        grain = np.random.default_rng(rng.getrandbits(32)).standard_normal(a.shape[:2], np.float32)
        image = Image.fromarray(np.clip(a + deviation * grain[..., None], 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=rng.randint(50, 95))
        image = Image.open(io.BytesIO(out.getvalue())).convert("RGB")
    return image


def draw(rng: random.Random, size: tuple[int, int], level: Level, held_out: bool = False) -> Picture:
    """A picture of exactly `size`."""
    found = None
    for attempt in range(50):
        # Shorter lines when long ones do not fit.
        longest = max(1, int(level.longest * 0.93**attempt))
        found = _layout(rng, size, Level(level.most_lines, longest, level.noise, level.sizes), held_out)
        if found:
            break
    if found is None:
        raise ValueError(f"No text fits into {size}")
    texts, font_path, px, pitch = found
    font = fonts.load(font_path, px)
    w, h = size
    back, ink = _colours(rng, level.noise)
    image = Image.new("RGB", size, back)
    pen = ImageDraw.Draw(image)
    block_w = max(font.getlength(t) for t in texts)
    block_h = pitch * (len(texts) - 1) + 1.25 * px
    left = rng.uniform(1, max(1.0, w - block_w - 2)) if rng.random() < 0.6 else (w - block_w) / 2
    top = rng.uniform(0, max(0.0, h - block_h)) if rng.random() < 0.5 else max(0.0, (h - block_h) / 2)
    places = []
    for row, text in enumerate(texts):
        y = top + row * pitch
        pen.text((left, y), text, fill=ink, font=font)
        edges = [left + font.getlength(text[:i]) for i in range(len(text) + 1)]
        middle = y + 0.62 * px
        places += [(c, (edges[i] + edges[i + 1]) / 2, middle, row) for i, c in enumerate(text)]
    if level.noise and rng.random() < 0.4:
        # No further than the margins allow.
        most = min(2.5, math.degrees(math.atan2(max(2.0, h - block_h) / 2, block_w / 2)))
        angle = rng.uniform(-most, most)
        image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=back)
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        places = [
            (c, (x - w / 2) * cos + (y - h / 2) * sin + w / 2, (y - h / 2) * cos - (x - w / 2) * sin + h / 2, row)
            for c, x, y, row in places
        ]
    return Picture(_spoil(rng, image, level.noise) if level.noise else image, "\n".join(texts), places)


def size_for(rng: random.Random, level: Level) -> tuple[int, int]:
    """A picture's size: all of one batch share it, because then they share the grid of cells too. Mostly wide enough
    for the longest line, whatever the level, so that letters keep their scale from one level to the next."""
    rows = rng.randint(1, level.most_lines)
    px = rng.randint(*level.sizes)
    characters = lines.MAX if rng.random() < 0.6 else rng.randint(6, lines.MAX)
    width = px * (0.52 * characters * rng.uniform(0.85, 1.15) + 1.0)
    height = px * (rows * 1.35 + rng.uniform(0.2, 1.0))
    return max(64, round(width)), max(24, round(height))


def pixels(picture: Picture, cfg: VisionConfig) -> np.ndarray:
    """uint8 [H, W, 3], as llama.cpp prepares it."""
    return canvas(picture.image, cfg)


def cell_labels(picture: Picture, cfg: VisionConfig) -> np.ndarray:
    """uint8 [cells, SLOTS]: codes of the characters whose centres lie in each cell, 0 for none. Spaces do not count."""
    place = placement(*picture.image.size, cfg)
    scale = place.width / picture.image.size[0]
    columns, rows = place.canvas[0] // cfg.cell, place.canvas[1] // cfg.cell
    labels = np.zeros((rows * columns, SLOTS), np.uint8)
    taken = [0] * (rows * columns)
    for char, x, y, _ in picture.places:
        column = int((place.left + x * scale) // cfg.cell)
        row = int((place.top + y * scale) // cfg.cell)
        if char == " " or not (0 <= column < columns and 0 <= row < rows):
            continue
        cell = row * columns + column
        if taken[cell] < SLOTS:
            labels[cell, taken[cell]] = ord(char) - 31
            taken[cell] += 1
    return labels
