"""Speech from libespeak-ng, with the time of every phoneme and word (which only training uses)."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

import numpy as np

from ..audio_input import RATE

_RETRIEVAL, _PHONEME_EVENTS, _UTF8 = 1, 1, 1
_WORD, _PHONEME = 1, 7
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass
class Speech:
    samples: np.ndarray  # float32, 16 kHz
    phonemes: list[tuple[float, str]]  # start in seconds, name ("" for a pause)
    words: list[tuple[float, int]]  # start in seconds, place of the word's first character in the text


class Espeak:
    """One per process: the library keeps its state in globals."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as cause:
            raise RuntimeError("No libespeak-ng: apt-get install espeak-ng") from cause
        self._rate = self._lib.espeak_Initialize(_RETRIEVAL, 0, None, _PHONEME_EVENTS)
        if self._rate <= 0:
            raise RuntimeError("espeak-ng does not start")
        self._pieces: list[np.ndarray] = []
        self._phonemes: list[tuple[float, str]] = []
        self._words: list[tuple[float, int]] = []
        # Kept: the library calls it for as long as the process lives.
        self._callback = _CALLBACK(self._receive)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, wav: ctypes.POINTER, count: int, events: ctypes.POINTER) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(wav, (count,)).copy())
        i = 0
        while events[i].type != 0:
            event = events[i]
            if event.type == _PHONEME:
                name = event.id.string.decode("utf-8", "replace")
                self._phonemes.append((event.audio_position / 1000, name))
            elif event.type == _WORD:
                self._words.append((event.audio_position / 1000, event.text_position - 1))
            i += 1
        return 0

    def say(self, text: str, voice: str, speed: int, pitch: int, slower: float = 1.0) -> Speech:
        """`speed` in words a minute, `pitch` 0..99. `slower` plays it so many times as long, which lowers the voice and its
        formants too: another throat. Raises ValueError for a voice that is not installed."""
        self._pieces, self._phonemes, self._words = [], [], []
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        self._lib.espeak_SetParameter(_RATE_PARAMETER, speed, 0)
        self._lib.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
        data = text.encode() + b"\0"
        self._lib.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 0, 0, _UTF8, None, None)
        self._lib.espeak_Synchronize()
        raw = np.concatenate(self._pieces).astype(np.float32) / 32768
        return Speech(
            _resample(raw, self._rate, slower),
            [(t * slower, name) for t, name in self._phonemes],
            [(t * slower, place) for t, place in self._words],
        )


def _resample(x: np.ndarray, rate: int, longer: float) -> np.ndarray:
    """To 16 kHz, band-limited: the spectrum above 8 kHz is cut off. Padded to lengths whose FFT is quick."""
    n = -(-len(x) // 4410) * 4410
    spectrum = np.fft.rfft(np.pad(x, (0, n - len(x))))
    m = round(n * RATE / rate * longer / 32) * 32
    # Where it becomes longer, what it had above its own limit is missing; irfft takes it as silent.
    y = np.fft.irfft(spectrum[: m // 2 + 1], m) * (m / n)
    return y[: round(len(x) * m / n)].astype(np.float32)


@functools.cache
def espeak() -> Espeak:
    return Espeak()
