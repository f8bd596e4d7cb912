"""What llama.cpp does to a recording before the audio encoder (mtmd-audio.cpp, gemma4a)."""

from __future__ import annotations

import functools
import math
import wave
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RATE = 16000
CHUNK = 30 * RATE  # longer recordings are encoded in pieces, one after the other
N_FFT, WINDOW, HOP, FLOOR = 512, 320, 160, 1e-3


@functools.cache
def mel_filters(n_mel: int) -> np.ndarray:
    """HTK triangles over 0..8000 Hz without area normalisation -> float32 [257, n_mel]"""
    top = 2595.0 * math.log10(1 + (RATE / 2) / 700.0)
    hz = 700.0 * (10.0 ** (top * np.arange(n_mel + 2) / (n_mel + 1) / 2595.0) - 1.0)
    f = np.arange(N_FFT // 2 + 1) * (RATE / N_FFT)
    left, centre, right = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    up = (f - left) / np.maximum(1e-30, centre - left)
    down = (right - f) / np.maximum(1e-30, right - centre)
    w = np.where((f >= left) & (f <= centre), up, np.where((f > centre) & (f <= right), down, 0.0))
    return np.ascontiguousarray(w.astype(np.float32).T)


@functools.cache
def _window() -> np.ndarray:
    # Periodic Hann, zero-padded at its END.
    w = np.zeros(N_FFT, np.float32)
    w[:WINDOW] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return w


def log_mel(samples: np.ndarray, n_mel: int = 128) -> np.ndarray:
    """At most 30 s of 16 kHz mono in -1..1 -> float32 [frames, n_mel]: log magnitude, not power, not normalised."""
    x = np.asarray(samples, np.float32)
    left = WINDOW // 2  # zeros in front
    frames = max(len(x) + left - (WINDOW + 1), 0) // HOP + 1
    padded = np.zeros((frames - 1) * HOP + N_FFT, np.float32)
    n = min(len(x), len(padded) - left)
    padded[left : left + n] = x[:n]
    views = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    magnitude = np.abs(np.fft.rfft(views * _window(), axis=1)).astype(np.float32)
    return np.log(np.maximum(magnitude @ mel_filters(n_mel), np.float32(FLOOR)))


def chunks(samples: np.ndarray, n_mel: int = 128) -> list[Tensor]:
    """One [frames, n_mel] for each 30 s."""
    return [torch.from_numpy(log_mel(samples[o : o + CHUNK], n_mel)) for o in range(0, len(samples), CHUNK)]


def tokens_of(samples: int) -> int:
    """Audio tokens of a recording of at most 30 s."""
    frames = max(samples + WINDOW // 2 - (WINDOW + 1), 0) // HOP + 1
    return (frames + 3) // 4


def read_wav(path: Path) -> np.ndarray:
    """16-bit PCM at 16 kHz -> float32 mono. Other rates are resampled by llama.cpp in a way not imitated here."""
    with wave.open(str(path), "rb") as w:
        if w.getsampwidth() != 2 or w.getframerate() != RATE:
            raise ValueError(f"{path}: 16-bit PCM at {RATE} Hz is needed")
        a = np.frombuffer(w.readframes(w.getnframes()), "<i2").reshape(-1, w.getnchannels())
    return (a.astype(np.float32) / 32768.0).mean(1)


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
