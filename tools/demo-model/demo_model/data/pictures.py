"""Pictures of printed lines, with the place of every character (which only training uses)."""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from ..config import VisionConfig
from ..image_input import canvas, placement
from . import fonts, lines

# Where in a cell a character stands: in one of 2 x 2 patches, in one of three upright thirds of it.
THIRDS = 3
SLOTS = 4 * THIRDS


@dataclass(frozen=True)
class Level:
    """What a picture of the curriculum may be."""

    most_lines: int = 1
    least_lines: int = 1
    longest: int = lines.MAX
    noise: float = 1.0  # 0: clean and straight
    sizes: tuple[int, int] = (16, 48)


@dataclass
class Picture:
    image: Image.Image
    text: str
    # (character, x and y of its centre, width, height), in pixels of the picture; line by line
    boxes: list[tuple[str, float, float, float, float]]


def _fitting(
    rng: random.Random, size: tuple[int, int], level: Level, held_out: bool
) -> tuple[list[str], str, int, float] | None:
    """Lines, font, font size and line pitch that fit into `size`; None when nothing does."""
    w, h = size
    font = fonts.pick(rng, held_out)
    count = rng.randint(level.least_lines, level.most_lines)
    # Mostly long lines: more letters for the time.
    shortest = level.longest * 3 // 4 if rng.random() < 0.7 else max(1, level.longest // 6)
    texts = [lines.line(rng, rng.randint(shortest, level.longest)) for _ in range(count)]
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


@dataclass
class Page:
    """What stands where, before it is painted."""

    size: tuple[int, int]
    texts: list[str]
    font: str
    px: int
    left: float
    # top of each line
    tops: list[float]
    boxes: list[tuple[str, float, float, float, float]]
    room: tuple[float, float]  # height and half the width of what is printed: how far it may be turned

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def lay_out(rng: random.Random, size: tuple[int, int], level: Level, held_out: bool = False) -> Page:
    """Lines of text that fit into `size`."""
    found = None
    for attempt in range(50):
        # Shorter lines when long ones do not fit.
        longest = max(1, int(level.longest * 0.93**attempt))
        found = _fitting(rng, size, replace(level, longest=longest), held_out)
        if found:
            break
    if found is None:
        raise ValueError(f"No text fits into {size}")
    texts, font_path, px, pitch = found
    font = fonts.load(font_path, px)
    w, h = size
    block_w = max(font.getlength(t) for t in texts)
    block_h = pitch * (len(texts) - 1) + 1.25 * px
    left = rng.uniform(1, max(1.0, w - block_w - 2)) if rng.random() < 0.6 else (w - block_w) / 2
    top = rng.uniform(0, max(0.0, h - block_h)) if rng.random() < 0.5 else max(0.0, (h - block_h) / 2)
    tops = [top + row * pitch for row in range(len(texts))]
    boxes = []
    for y, text in zip(tops, texts, strict=True):
        edges = [left + font.getlength(text[:i]) for i in range(len(text) + 1)]
        middle = y + fonts.middle(font_path) * px
        boxes += [(c, (edges[i] + edges[i + 1]) / 2, middle, edges[i + 1] - edges[i], px) for i, c in enumerate(text)]
    return Page(size, texts, font_path, px, left, tops, boxes, (block_h, block_w / 2))


def draw(rng: random.Random, size: tuple[int, int], level: Level, held_out: bool = False) -> Picture:
    """A picture of exactly `size`."""
    page = lay_out(rng, size, level, held_out)
    back, ink = _colours(rng, level.noise)
    image = Image.new("RGB", size, back)
    pen = ImageDraw.Draw(image)
    font = fonts.load(page.font, page.px)
    for y, text in zip(page.tops, page.texts, strict=True):
        pen.text((page.left, y), text, fill=ink, font=font)
    boxes = page.boxes
    if level.noise and rng.random() < 0.4:
        w, h = size
        # No further than the margins allow.
        most = min(2.5, math.degrees(math.atan2(max(2.0, h - page.room[0]) / 2, page.room[1])))
        angle = rng.uniform(-most, most)
        image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=back)
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        boxes = [
            (c, (x - w / 2) * cos + (y - h / 2) * sin + w / 2, (y - h / 2) * cos - (x - w / 2) * sin + h / 2, bw, bh)
            for c, x, y, bw, bh in boxes
        ]
    return Picture(_spoil(rng, image, level.noise) if level.noise else image, page.text, boxes)


def size_for(rng: random.Random, level: Level) -> tuple[int, int]:
    """A picture's size: all of one batch share it, because then they share the grid of cells too. Wide enough for the
    longest line, whatever stands on it, so that letters are of about one scale: short lines have wide margins."""
    rows = level.least_lines + rng.randint(0, level.most_lines - level.least_lines)
    px = rng.randint(*level.sizes)
    width = px * (0.56 * lines.MAX * rng.uniform(0.85, 1.2) + 1.0)
    height = px * (rows * 1.35 + rng.uniform(0.2, 1.0))
    return max(64, round(width)), max(24, round(height))


@dataclass(frozen=True)
class Fit:
    """How a picture comes onto the canvas of whole cells: its size there, and where its corner lies."""

    canvas: tuple[int, int]
    size: tuple[int, int]
    corner: tuple[int, int]


def fit(size: tuple[int, int], cfg: VisionConfig, stretched: bool) -> Fit:
    """`stretched`: to all of the canvas, as Batchmill prepares pictures; else centred on black, as llama.cpp does."""
    place = placement(*size, cfg)
    if stretched:
        return Fit(place.canvas, place.canvas, (0, 0))
    return Fit(place.canvas, (place.width, place.height), (place.left, place.top))


def pixels(picture: Picture, cfg: VisionConfig, stretched: bool) -> np.ndarray:
    """uint8 [H, W, 3], as the encoder gets it."""
    if not stretched:
        return canvas(picture.image, cfg)
    place = fit(picture.image.size, cfg, stretched)
    return np.asarray(picture.image.resize(place.size, Image.Resampling.LANCZOS))


def labels(
    boxes: list[tuple[str, float, float, float, float]], size: tuple[int, int], cfg: VisionConfig, stretched: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What the encoder is told lies where, by codes of characters (0: none). The spaces between words are characters too,
    so that reading is naming what stands there in order.

    -> uint8 [patch rows, patch columns, THIRDS], the character whose centre lies in each upright third of a patch;
    uint8 [patch rows, patch columns], the character that covers the middle of a patch."""
    place = fit(size, cfg, stretched)
    columns, rows = place.canvas[0] // cfg.patch, place.canvas[1] // cfg.patch
    centres = np.zeros((rows, columns * THIRDS), np.uint8)
    covers = np.zeros((rows, columns), np.uint8)
    sx, sy = place.size[0] / size[0], place.size[1] / size[1]
    for char, x, y, width, height in boxes:
        code = ord(char) - 31
        x, y = (place.corner[0] + x * sx) / cfg.patch, (place.corner[1] + y * sy) / cfg.patch
        row, third = int(y), int(x * THIRDS)
        if 0 <= row < rows and 0 <= third < columns * THIRDS:
            centres[row, third] = code
        half_w, half_h = width * sx / cfg.patch / 2, height * sy / cfg.patch / 2
        left, right = max(0, math.ceil(x - half_w - 0.5)), min(columns, math.floor(x + half_w - 0.5) + 1)
        top, bottom = max(0, math.ceil(y - half_h - 0.5)), min(rows, math.floor(y + half_h - 0.5) + 1)
        covers[top:bottom, left:right] = code
    return centres.reshape(rows, columns, THIRDS), covers


def slots_of(
    boxes: list[tuple[str, float, float, float, float]], size: tuple[int, int], cfg: VisionConfig, stretched: bool
) -> tuple[np.ndarray, np.ndarray]:
    """-> int64 [letters], codes of characters; float32 [letters, 2], where their centres are: across in thirds of a patch,
    down in patches."""
    place = fit(size, cfg, stretched)
    sx, sy = place.size[0] / size[0] / cfg.patch, place.size[1] / size[1] / cfg.patch
    left, top = place.corner[0] / cfg.patch, place.corner[1] / cfg.patch
    at = [((left + x * sx) * THIRDS, top + y * sy) for _, x, y, _, _ in boxes]
    return np.array([ord(c) - 31 for c, *_ in boxes], np.int64), np.array(at, np.float32).reshape(-1, 2)


def places_of(
    boxes: list[tuple[str, float, float, float, float]], size: tuple[int, int], cfg: VisionConfig, stretched: bool
) -> list[int]:
    """The token in which each character's centre lies."""
    place = fit(size, cfg, stretched)
    columns, rows = place.canvas[0] // cfg.cell, place.canvas[1] // cfg.cell
    sx, sy = place.size[0] / size[0], place.size[1] / size[1]
    out = []
    for _, x, y, _, _ in boxes:
        column = min(columns - 1, max(0, int((place.corner[0] + x * sx) // cfg.cell)))
        row = min(rows - 1, max(0, int((place.corner[1] + y * sy) // cfg.cell)))
        out.append(row * columns + column)
    return out
