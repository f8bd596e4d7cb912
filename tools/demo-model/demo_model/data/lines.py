"""What is printed on the pictures: lines of up to 24 characters."""

from __future__ import annotations

import random
import string

from .words import ADJECTIVES, COLOURS, COMMON, FUNCTION, MONTHS, NOUNS, SPOKEN, VERBS

MAX = 24
PUNCTUATION = ".,:;!?-/#%&()+=*@'\"$"
LOWER_WORDS = [w for w in SPOKEN if w.islower()] + COMMON
SYLLABLES = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"]


def _word(rng: random.Random) -> str:
    """A word, mostly not of the vocabulary, so that letters are read and not words guessed."""
    if rng.random() < 0.35:
        word = rng.choice(LOWER_WORDS)
    elif rng.random() < 0.6:
        word = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 3))) + rng.choice(["", "n", "s", "r", "x"])
    else:
        word = "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(1, 7)))
    style = rng.random()
    return word if style < 0.6 else word.capitalize() if style < 0.85 else word.upper()


def _code(rng: random.Random) -> str:
    pool = string.ascii_uppercase + string.digits * 2 + string.ascii_lowercase
    return "".join(rng.choice(pool) for _ in range(rng.randint(2, 8)))


def _number(rng: random.Random) -> str:
    kind = rng.randrange(5)
    if kind == 0:
        return f"{rng.uniform(0, 10 ** rng.randint(1, 4)):.2f}"
    if kind == 1:
        return f"{rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}/{rng.randint(1990, 2039)}"
    if kind == 2:
        return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    if kind == 3:
        return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"
    return str(rng.randint(0, 10 ** rng.randint(1, 6)))


def _sentence(rng: random.Random) -> str:
    words = ["the", rng.choice(ADJECTIVES + COLOURS), rng.choice(NOUNS), rng.choice(VERBS), rng.choice(FUNCTION)]
    return " ".join(words).capitalize() + rng.choice(".!?")


def _mixed(rng: random.Random) -> str:
    parts = []
    for _ in range(rng.randint(1, 4)):
        part = rng.choice((_word, _word, _code, _number))(rng)
        if rng.random() < 0.3:
            mark = rng.choice(PUNCTUATION)
            part = f"({part})" if mark in "()" else mark + part if mark in "#$@+" else part + mark
        parts.append(part)
    return " ".join(parts)


def line(rng: random.Random, longest: int = MAX) -> str:
    """1 to `longest` characters, single spaces, none at the ends."""
    text = _sentence(rng) if rng.random() < 0.1 else _mixed(rng)
    if rng.random() < 0.05:
        text = "".join(rng.choice(string.ascii_letters + string.digits + PUNCTUATION) for _ in range(longest))
    if len(text) > longest:
        cut = text[:longest].rfind(" ")
        text = text[: cut if cut > longest // 2 and rng.random() < 0.7 else longest]
    return text.strip() or "0"
