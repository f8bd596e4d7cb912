"""Spoken sentences of the vocabulary, in training voices or in held-out ones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from ..audio_input import RATE, tokens_of
from . import words as w
from .espeak import espeak

_VARIANTS = (
    "m1 m2 m3 m6 m7 m8 f1 f2 f3 f5 linda max adam anika antonio aunty benjamin boris caleb david ed edward grandma "
    "grandpa iven john klatt klatt4 miguel norbert pablo paul quincy rob robert sandro shelby steph travis victor zac "
    "Alex Andrea Denis Gene Hugo Jacky Lee Mario Mike"
).split()
TRAIN_VOICES = tuple(
    base + variant
    for base in ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
    for variant in ("", *("+" + name for name in _VARIANTS))
)
HELD_OUT_VOICES = ("en-us+f4", "en+m4", "en-gb-x-rp+m5", "en-gb-scotland+belinda", "en-us-nyc+f4", "en-gb-x-gbclan")
TRAIN_SPEEDS = (120, 130, 140, 150, 170, 180, 190)
HELD_OUT_SPEEDS = (135, 160, 185)

# Classes of the auxiliary loss: 0 is a pause or an unlisted phoneme.
PHONEMES = (
    "0 3 3: ; ? @ @- @2 @L A: A@ D E I I# I2 N O2 O: O@ OI S T U V a aI aI3 aI@ aU aa b d dZ e@ eI f g h i i: i@ i@3 j "
    "k l m n n- o@ oU p r s t t# t2 tS u: v w z"
).split()
_PHONEME_CLASS = {name: i + 1 for i, name in enumerate(PHONEMES)}
WORD_CLASS = {word: i + 1 for i, word in enumerate(w.SPOKEN)}


@dataclass
class Clip:
    samples: np.ndarray  # float32, 16 kHz
    text: str
    phonemes: np.ndarray  # uint8 [audio tokens]: what is being said in the middle of each
    ended: np.ndarray  # int16 [audio tokens]: the word that has just ended, 0 for none
    ends: list[tuple[int, int]]  # (place of a word's first character in the text, token at which it has just ended)


def _noun_phrase(rng: random.Random) -> list[str]:
    out = [rng.choice(["the", "my", "his", "that", "every"])]
    if rng.random() < 0.5:
        out.append(rng.choice(w.ADJECTIVES + w.COLOURS))
    return [*out, rng.choice(w.NOUNS)]


def _number(rng: random.Random) -> list[str]:
    return w.number_in_words(rng.randint(0, 10 ** rng.randint(1, 4) - 1)).replace("-", " ").split()


def sentence(rng: random.Random, most_words: int) -> str:
    """Half of them grammatical, half any words, so that the ear and not the grammar decides."""
    kind = rng.randrange(6)
    if kind == 0:
        out = [*_noun_phrase(rng), rng.choice(w.VERBS), *_noun_phrase(rng)]
        if rng.random() < 0.5:
            out += [rng.choice(["on", "before", "after"]), rng.choice(w.DAYS)]
    elif kind == 1:
        out = [rng.choice(["she", "they", "we", "you"]), rng.choice(w.VERBS), *_number(rng), rng.choice(w.NOUNS)]
    elif kind == 2:
        out = [rng.choice(w.DAYS), *_number(rng), rng.choice(w.MONTHS), *_number(rng)]
        out = [word for word in out if word != "thousand"]
    elif kind == 3:
        out = [rng.choice(w.LETTERS if rng.random() < 0.5 else w.ONES) for _ in range(rng.randint(3, 8))]
    else:
        out = [rng.choice(w.SPOKEN) for _ in range(rng.randint(1, most_words))]
    return " ".join(out[:most_words])


def _frames(text: str, phonemes: list[tuple[float, str]], words: list[tuple[float, int]], n: int, end: float) -> Clip:
    """Labels of n tokens, one each 40 ms."""
    middle = (np.arange(n) + 0.5) / 25
    names = np.zeros(n, np.uint8)
    for i, (start, name) in enumerate(phonemes):
        stop = phonemes[i + 1][0] if i + 1 < len(phonemes) else end
        names[(middle >= start) & (middle < stop)] = _PHONEME_CLASS.get(name.strip("'`,"), 0)
    ended = np.zeros(n, np.int16)
    starts = [t for t, _ in words[1:]] + [end]
    at = [place for _, place in words]
    ends = []
    for i, place in enumerate(at):
        stop = at[i + 1] if i + 1 < len(at) else len(text) + 1
        said = text[place:stop].strip()
        # espeak joins some pairs of short words into one event: those stay unlabelled.
        # The encoder only looks back, so a word is named just after its end.
        token = round(starts[i] * 25)
        ended[token : token + 2] = WORD_CLASS.get(said, 0)
        if said in WORD_CLASS and token < n:
            ends.append((place, token))
    return Clip(np.zeros(0, np.float32), text, names, ended, ends)


def say(rng: random.Random, most_words: int, held_out: bool = False) -> Clip:
    voice = rng.choice(HELD_OUT_VOICES if held_out else TRAIN_VOICES)
    speed = rng.choice(HELD_OUT_SPEEDS if held_out else TRAIN_SPEEDS)
    text = sentence(rng, most_words)
    lead = rng.randint(0, 6)  # whole tokens of silence in front
    # Voices not heard in training are other throats above all.
    slower = 1.0 if held_out else math.exp(rng.uniform(-0.12, 0.12))
    spoken = espeak().say(text, voice, speed, rng.randint(30, 70), slower)
    end = len(spoken.samples) / RATE
    samples = np.concatenate(
        [np.zeros(lead * RATE // 25, np.float32), spoken.samples, np.zeros(RATE // 10, np.float32)]
    )
    shift = lead / 25
    clip = _frames(
        text,
        [(t + shift, name) for t, name in spoken.phonemes],
        [(t + shift, place) for t, place in spoken.words],
        tokens_of(len(samples)),
        end + shift,
    )
    clip.samples = samples
    return clip


def coloured(rng: random.Random, samples: np.ndarray) -> np.ndarray:
    """As through another microphone: duller or sharper. Only training hears it."""
    tilt = rng.uniform(-0.6, 0.6)
    out = samples.copy()
    out[1:] += tilt * samples[:-1]
    return out


def with_noise(rng: random.Random, samples: np.ndarray) -> np.ndarray:
    """Another loudness, and noise 20 to 50 dB below the speech."""
    gain = 10 ** rng.uniform(-0.6, 0.3)
    level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-rng.uniform(20, 50) / 20)
    grain = np.random.default_rng(rng.getrandbits(32)).standard_normal(len(samples), np.float32)
    return np.clip((samples + level * grain) * gain, -1, 1)
