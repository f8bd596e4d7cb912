"""What training is told is so."""

from __future__ import annotations

import itertools
import random

import numpy as np
import torch

from demo_model import codes
from demo_model.audio_input import RATE, log_mel, tokens_of
from demo_model.batches import Maker
from demo_model.config import demo_vision
from demo_model.data import instructions, lines, pictures, speech, words
from demo_model.said import Sayer, spread
from demo_model.vocabulary import demo_vocabulary


def test_vocabulary_round_trip() -> None:
    v, rng = demo_vocabulary(), random.Random(5)
    for _ in range(200):
        text = lines.line(rng) + "\n" + speech.sentence(rng, 12)
        assert v.decode(v.encode(text)) == text
        assert v.decode(v.letters(text)) == text
        assert len(v.letters(text)) == len(text)
    assert v.id("<pad>") == 0
    assert len(v.encode(" seven")) == 1
    assert len(words.SPOKEN) >= 200


def test_every_letter_has_its_slot() -> None:
    """The characters of a line's patches, column by column, are those of its text; narrow ones may share a third."""
    rng, cfg, level = random.Random(6), demo_vision(), pictures.Level(noise=0.0)
    lost = total = 0
    for stretched in (True, False):
        for _ in range(20):
            picture = pictures.draw(rng, pictures.size_for(rng, level), level)
            centres, covers = pictures.labels(picture.boxes, picture.image.size, cfg, stretched)
            columns = centres.reshape(centres.shape[0], -1).T
            seen = "".join(chr(int(c) + 31) for c in columns[columns > 0])
            rest = iter(picture.text)
            assert all(c in rest for c in seen)
            lost += len(picture.text) - len(seen)
            total += len(picture.text)
            assert set(np.unique(covers[covers > 0])) <= {ord(c) - 31 for c in picture.text}
            letters, at = pictures.slots_of(picture.boxes, picture.image.size, cfg, stretched)
            assert "".join(chr(c + 31) for c in letters) == picture.text
            across, down = at.astype(int).T
            # Of letters that share a third, the last is told.
            assert (centres.reshape(centres.shape[0], -1)[down, across] == letters).sum() >= len(seen)
    assert lost < total / 50


def test_a_letter_is_said_in_the_slots_around_it() -> None:
    at = torch.tensor([[[7.25, 1.0], [11.5, 2.5]]])
    slots, shares = spread(at, (3, 2))
    # The first is on the edge between two rows of the second cell, and a quarter of a slot left of a slot's centre.
    assert slots[0, 0].tolist() == [12 + 0, 12 + 1, 12 + 6, 12 + 7]
    assert shares[0, 0].tolist() == [0.125, 0.375, 0.125, 0.375]
    # The second is in the centre of the last third of the first row of the lower middle cell.
    assert slots[0, 1, 0].item() == 12 * 4 + 5
    assert shares[0, 1].tolist() == [1, 0, 0, 0]
    said = Sayer().image(torch.tensor([[34, 35]]), at, (3, 2))
    letters = said[..., : -codes.PLACE].reshape(1, -1, codes.LETTER)
    assert torch.allclose(letters.sum(1)[0], codes.letter_codes()[34:36].sum(0), atol=1e-5)


def test_a_token_of_the_answer_knows_where_it_stands() -> None:
    maker = Maker(demo_vocabulary(), demo_vision(), 9, seen=False)
    batch = maker.image(8, pictures.Level(most_lines=4))
    columns, rows = batch.grid
    for b in range(8):
        first = int(batch.is_media[b].nonzero()[0])
        told = [
            (int(batch.targets[b, t]), int(batch.there[b, t]))
            for t in range(batch.there.shape[1])
            if batch.there[b, t] >= 0
        ]
        assert told
        assert all(0 <= place - first < columns * rows for _, place in told)
        # In reading order rows never go up.
        line = [(place - first) // columns for _, place in told]
        assert all(a <= b + 1 for a, b in itertools.pairwise(line))


def test_a_held_out_exercise_is_never_trained() -> None:
    rng = random.Random(7)
    trained = {instructions.exercise(rng).prompt for _ in range(3000)}
    assert not trained & {instructions.exercise(rng, held_out=True).prompt for _ in range(1000)}
    assert not set(speech.TRAIN_VOICES) & set(speech.HELD_OUT_VOICES)
    assert not set(speech.TRAIN_SPEEDS) & set(speech.HELD_OUT_SPEEDS)


def test_speech_is_labelled_word_by_word() -> None:
    rng = random.Random(8)
    for _ in range(10):
        clip = speech.say(rng, 6)
        assert len(clip.phonemes) == tokens_of(len(clip.samples)) == (len(log_mel(clip.samples)) + 3) // 4
        assert len(clip.samples) / RATE < 12
        ended = [int(c) for c, before in zip(clip.ended, [0, *clip.ended[:-1]], strict=True) if c and c != before]
        heard = [words.SPOKEN[c - 1] for c in ended]
        # espeak joins some pairs of short words; none may be out of order.
        rest = iter(clip.text.split())
        assert all(word in rest for word in heard)
        assert len(heard) >= len(clip.text.split()) // 2
        assert np.isfinite(clip.samples).all()
