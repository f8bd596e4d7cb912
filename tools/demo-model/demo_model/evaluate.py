"""Scores a pair of GGUF files through llama-server at temperature 0, on fonts, voices, speeds and sentences not trained
on: python -m demo_model.evaluate [--dir DIR] [--count N]. Prints one line of JSON.

--set DIR scores the set that `heldout` has written instead, as `npm run bench -- demo-model` does through the product."""

from __future__ import annotations

import argparse
import io
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import soundfile
from PIL import Image

from . import places
from .audio_input import write_wav
from .config import demo_vision
from .data import instructions, pictures, speech
from .gguf_file import MMPROJ, TEXT
from .llama_server import LlamaServer

SEED = 77
# Answers of the shipped set: no right one is longer.
MOST_TOKENS = {"line": 32, "page": 180, "speech": 64}
VISION = demo_vision()
PAGE = pictures.Level(most_lines=6, least_lines=2)


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Least number of insertions, deletions and replacements."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


class Rate:
    """Errors per wanted unit over many answers."""

    def __init__(self) -> None:
        self.errors = self.wanted = 0
        self.samples: list[tuple[str, str]] = []

    def add(self, wanted: Sequence[str], got: Sequence[str]) -> None:
        self.errors += distance(wanted, got)
        self.wanted += len(wanted)

    @property
    def value(self) -> float:
        return round(self.errors / max(1, self.wanted), 4)


def read(server: LlamaServer, level: pictures.Level, count: int, show: int, stretched: bool) -> float:
    rng, rate = random.Random(SEED), Rate()
    for i in range(count):
        picture = pictures.draw(rng, pictures.size_for(rng, level), level, held_out=True)
        png = io.BytesIO()
        sent = picture.image
        if stretched:
            sent = sent.resize(pictures.fit(sent.size, VISION, True).size, Image.Resampling.LANCZOS)
        sent.save(png, "PNG")
        got = server.answer(rng.choice(instructions.READ), png.getvalue()).strip()
        rate.add(picture.text, got)
        if i < show:
            print(f"  read   {picture.text!r} -> {got!r}")
    return rate.value


def listen(server: LlamaServer, words: int, count: int, show: int) -> float:
    rng, rate = random.Random(SEED), Rate()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        for i in range(count):
            clip = speech.say(rng, words, held_out=True)
            write_wav(path, speech.with_noise(rng, clip.samples))
            got = server.answer(rng.choice(instructions.LISTEN), path.read_bytes()).strip()
            rate.add(clip.text.split(), got.split())
            if i < show:
                print(f"  listen {clip.text!r} -> {got!r}")
    return rate.value


def follow(server: LlamaServer, count: int, show: int) -> dict[str, float]:
    """Share of answers that are right to the letter, of each kind."""
    rng, out = random.Random(SEED), {}
    for kind in instructions.KINDS:
        right = 0
        for i in range(count):
            e = instructions.exercise(rng, kind, held_out=True)
            got = server.answer(e.prompt).strip()
            right += got == e.answer
            if i < show:
                print(f"  {kind:6} {e.prompt!r} -> {got!r}")
        out[kind] = round(right / count, 4)
    return out


def shipped_set(server: LlamaServer, folder: Path, show: int) -> dict[str, float]:
    """The rates of `npm run bench -- demo-model`, without the product around the model."""
    rates, right, shown = {"line": Rate(), "page": Rate(), "speech": Rate()}, [], Counter[str]()
    for text in (folder / "expected.jsonl").read_text().splitlines():
        row = json.loads(text)
        kind, expected = row["kind"], row["expected"]
        got = server.answer(row["prompt"], sent_media(folder, row.get("file")), MOST_TOKENS.get(kind, 128)).strip()
        if kind not in rates:
            right.append(got == expected)
        elif kind == "speech":
            rates[kind].add(expected.split(), got.split())
        else:
            rates[kind].add(expected, got)
        shown[kind] += 1
        if shown[kind] <= show:
            print(f"  {kind:6} {expected!r} -> {got!r}")
    return {
        "cer_line": rates["line"].value,
        "cer_page": rates["page"].value,
        "wer": rates["speech"].value,
        "instructions_exact": round(sum(right) / len(right), 4),
    }


def sent_media(folder: Path, name: str | None) -> bytes | None:
    """A picture stretched to whole cells as PNG, a recording as WAV: what Batchmill hands to llama-server."""
    if name is None:
        return None
    out = io.BytesIO()
    if name.endswith(".jpg"):
        image = Image.open(folder / name).convert("RGB")
        size = pictures.fit(image.size, VISION, True).size
        image.resize(size, Image.Resampling.LANCZOS).save(out, "PNG")
    else:
        samples, rate = soundfile.read(folder / name)
        soundfile.write(out, samples, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--dir", type=Path, default=places.CACHE / "export")
    ap.add_argument("--count", type=int, default=100)
    ap.add_argument("--show", type=int, default=0, help="examples of each kind to print")
    ap.add_argument("--set", type=Path, metavar="DIR", help="score this set instead")
    ap.add_argument(
        "--padded",
        action="store_true",
        help="let llama.cpp pad pictures to whole cells; else stretched, as Batchmill does",
    )
    args = ap.parse_args()
    with LlamaServer(args.dir / TEXT, args.dir / MMPROJ) as server:
        if args.set is not None:
            print(json.dumps(shipped_set(server, args.set, args.show)))
            return
        exact = follow(server, max(10, args.count // 4), args.show)
        scores = {
            "cer_line": read(server, pictures.Level(), args.count, args.show, not args.padded),
            "cer_page": read(server, PAGE, args.count // 2, args.show, not args.padded),
            "wer": listen(server, 24, args.count, args.show),
            "instructions_exact": round(sum(exact.values()) / len(exact), 4),
            "by_instruction": exact,
            "count": args.count,
        }
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
