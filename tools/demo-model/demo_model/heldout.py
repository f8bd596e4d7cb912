"""Writes a small set of what was held out, for Batchmill's own benchmarks: python -m demo_model.heldout DIR

`expected.jsonl` has a line of JSON for each: {kind, file?, prompt, expected}."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import soundfile

from .audio_input import RATE
from .data import instructions, pictures, speech
from .evaluate import PAGE

SEED = 78
COUNTS = {"line": 40, "page": 20, "speech": 25, "instruction": 20}
MOST_WORDS = 24


def write(folder: Path) -> None:
    rng, rows = random.Random(SEED), []
    folder.mkdir(parents=True, exist_ok=True)
    for kind, level in (("line", pictures.Level()), ("page", PAGE)):
        for i in range(COUNTS[kind]):
            picture = pictures.draw(rng, pictures.size_for(rng, level), level, held_out=True)
            name = f"{kind}-{i:02d}.jpg"
            # Noise makes PNG large; this is as much JPEG as training has seen.
            picture.image.save(folder / name, "JPEG", quality=90)
            rows.append({"kind": kind, "file": name, "prompt": instructions.READ[0], "expected": picture.text})
    for i in range(COUNTS["speech"]):
        clip = speech.say(rng, MOST_WORDS, held_out=True)
        name = f"speech-{i:02d}.ogg"
        soundfile.write(folder / name, speech.with_noise(rng, clip.samples), RATE, format="OGG", subtype="VORBIS")
        rows.append({"kind": "speech", "file": name, "prompt": instructions.LISTEN[0], "expected": clip.text})
    for kind in instructions.KINDS:
        for _ in range(COUNTS["instruction"]):
            e = instructions.exercise(rng, kind, held_out=True)
            rows.append({"kind": kind, "prompt": e.prompt, "expected": e.answer})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "expected.jsonl").write_text(lines)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", type=Path)
    write(ap.parse_args().folder)


if __name__ == "__main__":
    main()
