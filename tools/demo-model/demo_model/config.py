"""Shapes of the three parts, read from a GGUF or chosen for the demo model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

# Gemma 4 E2B and E4B read pictures causally; llama.cpp decides by the width alone.
CAUSAL_MEDIA_WIDTHS = (1536, 2560)


@dataclass
class TextConfig:
    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: list[int]
    n_head_kv: list[int]
    n_ff: list[int]
    swa: list[bool]  # True: a sliding-window layer
    hd_full: int
    hd_swa: int
    n_rot_full: int
    n_rot_swa: int
    base_full: float = 1e6
    base_swa: float = 1e4
    window: int = 512
    n_shared: int = 0  # the last layers that reuse earlier K/V
    ple: int = 0  # width of the per-layer embeddings
    eps: float = 1e-6
    softcap: float = 30.0
    tied: bool = True
    has_v: list[bool] | None = None  # a layer without attn_v uses its raw K projection as V
    has_out_scale: bool = True

    @property
    def bidirectional_images(self) -> bool:
        """Whether the tokens of a picture see each other (on sliding layers)."""
        return self.n_embd not in CAUSAL_MEDIA_WIDTHS

    @staticmethod
    def from_gguf(keys: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TextConfig:
        def get(key: str, default: Any = None) -> Any:
            return keys.get("gemma4." + key, default)

        layers = get("block_count")

        def per_layer(value: Any) -> list[int]:
            return list(value) if isinstance(value, (list, tuple)) else [value] * layers

        return TextConfig(
            n_vocab=tensors["token_embd.weight"].shape[0],
            n_embd=get("embedding_length"),
            n_layer=layers,
            n_head=per_layer(get("attention.head_count")),
            n_head_kv=per_layer(get("attention.head_count_kv")),
            n_ff=per_layer(get("feed_forward_length")),
            swa=[bool(x) for x in get("attention.sliding_window_pattern")],
            hd_full=get("attention.key_length"),
            hd_swa=get("attention.key_length_swa"),
            n_rot_full=get("rope.dimension_count"),
            n_rot_swa=get("rope.dimension_count_swa"),
            base_full=get("rope.freq_base"),
            base_swa=get("rope.freq_base_swa"),
            window=get("attention.sliding_window"),
            n_shared=get("attention.shared_kv_layers", 0),
            ple=get("embedding_length_per_layer_input", 0) or 0,
            eps=get("attention.layer_norm_rms_epsilon"),
            # llama.cpp takes 30 when the key is absent, not "off".
            softcap=get("final_logit_softcapping", 30.0),
            tied="output.weight" not in tensors,
            has_v=[f"blk.{i}.attn_v.weight" in tensors for i in range(layers)],
            has_out_scale="blk.0.layer_output_scale.weight" in tensors,
        )


@dataclass
class VisionConfig:
    n_embd: int
    n_ff: int
    n_layer: int
    n_head: int
    n_out: int  # width of the text model
    patch: int = 16
    n_merge: int = 3  # pooling kernel (clip.vision.projector.scale_factor)
    n_pos: int = 10240
    eps: float = 1e-6
    rope_base: float = 100.0
    act: str = "gelu_quick"  # llama.cpp's choice when neither clip.use_gelu nor clip.use_silu is set
    mean: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    std: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])
    min_tokens: int = 70  # llama-server's --image-min-tokens; its default for gemma4v
    max_tokens: int = 1120  # --image-max-tokens
    has_std: bool = True
    has_out_scale: bool = False

    @property
    def cell(self) -> int:
        """Side in pixels of the square that becomes one token."""
        return self.patch * self.n_merge

    @staticmethod
    def from_gguf(keys: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> VisionConfig:
        def get(key: str, default: Any = None) -> Any:
            return keys.get("clip.vision." + key, default)

        return VisionConfig(
            n_embd=get("embedding_length"),
            n_ff=get("feed_forward_length"),
            n_layer=get("block_count"),
            n_head=get("attention.head_count"),
            n_out=tensors["mm.input_projection.weight"].shape[0],
            patch=get("patch_size"),
            n_merge=get("projector.scale_factor", 3),
            n_pos=tensors["v.position_embd.weight"].shape[1],
            eps=get("attention.layer_norm_epsilon"),
            mean=list(get("image_mean")),
            std=list(get("image_std")),
            act="gelu" if keys.get("clip.use_gelu") else "silu" if keys.get("clip.use_silu") else "gelu_quick",
            has_std="v.std_bias" in tensors and "v.std_scale" in tensors,
            has_out_scale="v.blk.0.out_scale.weight" in tensors,
        )


@dataclass
class AudioConfig:
    n_embd: int
    n_ff: int
    n_layer: int
    n_head: int
    n_out: int  # width of the text model
    n_mel: int = 128
    c0: int = 128  # channels of the two subsampling convolutions
    c1: int = 32
    n_proj: int = 1536  # width of a.pre_encode.out
    conv_k: int = 5
    conv_bias: bool = False
    inp_bias: bool = False
    out_bias: bool = True
    k_scale: bool = False  # per_dim_k_scale is there
    soft_norm: bool = False  # mm.a.soft_emb_norm is there

    @staticmethod
    def from_gguf(keys: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> AudioConfig:
        def get(key: str) -> Any:
            return keys["clip.audio." + key]

        return AudioConfig(
            n_embd=get("embedding_length"),
            n_ff=get("feed_forward_length"),
            n_layer=get("block_count"),
            n_head=get("attention.head_count"),
            n_out=tensors["mm.a.input_projection.weight"].shape[0],
            n_mel=get("num_mel_bins"),
            c0=tensors["a.conv1d.0.weight"].shape[0],
            c1=tensors["a.conv1d.1.weight"].shape[0],
            n_proj=tensors["a.pre_encode.out.weight"].shape[0],
            conv_k=tensors["a.blk.0.conv_dw.weight"].shape[-1],
            conv_bias="a.conv1d.0.bias" in tensors,
            inp_bias="a.input_projection.bias" in tensors,
            out_bias="a.pre_encode.out.bias" in tensors,
            k_scale="a.blk.0.per_dim_k_scale.weight" in tensors,
            soft_norm="mm.a.soft_emb_norm.weight" in tensors,
        )


def demo_text(n_vocab: int) -> TextConfig:
    layers, shared = 8, 2
    return TextConfig(
        n_vocab=n_vocab,
        n_embd=192,
        n_layer=layers,
        n_head=[4] * layers,
        n_head_kv=[2] * layers,
        n_ff=[384] * (layers - shared) + [768] * shared,  # double width where K/V are shared, as in E2B
        swa=[True, False] * (layers // 2),
        hd_full=64,
        hd_swa=64,
        n_rot_full=64,
        n_rot_swa=64,
        n_shared=shared,
        ple=16,
    )


def demo_vision() -> VisionConfig:
    """Cells of 48 pixels as in Gemma 4, so pictures become as many tokens as there; but 2x2 patches of 24 pixels and
    not 3x3 of 16: less than half the patches, and attention among them is what costs. Wide and shallow: products of
    large matrices are what a CPU does well."""
    return VisionConfig(n_embd=192, n_ff=512, n_layer=3, n_head=4, n_out=192, patch=24, n_merge=2, n_pos=2240)


def demo_audio() -> AudioConfig:
    return AudioConfig(n_embd=160, n_ff=320, n_layer=4, n_head=4, n_out=192, c0=16, c1=16, n_proj=256)
