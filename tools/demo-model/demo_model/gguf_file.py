"""Reading GGUF files into modules, and writing modules as GGUF files that llama.cpp loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from torch import Tensor, nn

from .audio import AudioEncoder
from .config import AudioConfig, TextConfig, VisionConfig
from .ops import FLT_MAX, ClipLinear
from .text import TextModel
from .vision import VisionEncoder
from .vocabulary import Vocabulary

TEXT, MMPROJ = "text.gguf", "mmproj.gguf"
# A tensor's name and shape -> how it is stored.
Storage = Callable[[str, tuple[int, ...]], Type]


def as_f32(name: str, shape: tuple[int, ...]) -> Type:
    """Everything F32 but the patch kernel, which llama.cpp's convolution wants as F16."""
    return Type.F16 if name == "v.patch_embd.weight" else Type.F32


def as_small(name: str, shape: tuple[int, ...]) -> Type:
    """Q8_0 for matrices (8.5 bits a weight, no loss to speak of); norms, scales and what is convolved stay exact."""
    if name == "v.patch_embd.weight":
        return Type.F16
    convolved = name.startswith("a.conv1d.") or name.endswith("conv_dw.weight")
    # The position table is read row by row, by code that takes no quantised type.
    if len(shape) != 2 or shape[-1] % 32 or convolved or name == "v.position_embd.weight":
        return Type.F16 if name == "v.position_embd.weight" else Type.F32
    return Type.Q8_0


def read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """-> keys (without the tokenizer's), tensors as float32"""
    reader = gguf.GGUFReader(path)
    keys = {k: f.contents() for k, f in reader.fields.items() if not k.startswith("tokenizer.")}
    tensors = {}
    for t in reader.tensors:
        a = t.data.astype(np.float32) if t.data.dtype in (np.float32, np.float16) else None
        a = gguf.quants.dequantize(t.data, t.tensor_type) if a is None else a
        tensors[t.name] = torch.from_numpy(np.array(a, dtype=np.float32)).reshape([int(n) for n in reversed(t.shape)])
    return keys, tensors


def load_state(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copies by name. Clamps that the file lacks stay open.

    Raises KeyError when tensors are missing, ValueError when a shape differs."""
    own = module.state_dict()
    missing = [k for k in own if k not in tensors and not k.endswith(("_min", "_max"))]
    if missing:
        raise KeyError(f"GGUF lacks {missing[:8]}")
    with torch.no_grad():
        for name, value in own.items():
            if name not in tensors:
                continue
            if value.shape != tensors[name].shape and not (
                name.endswith(".bias") and value.numel() == tensors[name].numel()
            ):
                raise ValueError(f"{name} is {tuple(tensors[name].shape)}, not {tuple(value.shape)}")
            value.copy_(tensors[name].reshape(value.shape))
    for part in module.modules():
        if isinstance(part, ClipLinear):
            part.clamps = any(float(b.abs()) < FLT_MAX for b in part.buffers())


def load_text(path: Path) -> TextModel:
    keys, tensors = read_gguf(path)
    model = TextModel(TextConfig.from_gguf(keys, tensors))
    load_state(model, tensors)
    return model


def load_vision(path: Path) -> VisionEncoder:
    keys, tensors = read_gguf(path)
    model = VisionEncoder(VisionConfig.from_gguf(keys, tensors))
    load_state(model, tensors)
    return model


def load_audio(path: Path) -> AudioEncoder:
    keys, tensors = read_gguf(path)
    model = AudioEncoder(AudioConfig.from_gguf(keys, tensors))
    load_state(model, tensors)
    return model


def _add_tensors(w: gguf.GGUFWriter, module: nn.Module, storage: Storage) -> None:
    for name, value in module.state_dict().items():
        if name.endswith(("_min", "_max")) and abs(float(value)) >= FLT_MAX:
            continue  # an open clamp
        a = value.detach().float().contiguous().numpy()
        if name.startswith("a.conv1d.") and name.endswith(".bias"):
            a = a.reshape(-1, 1, 1)  # llama.cpp adds it to [freq, time, channel] as it is
        kind = storage(name, a.shape)
        if kind == Type.F16:
            w.add_tensor(name, a.astype(np.float16))
        elif kind == Type.F32:
            w.add_tensor(name, a)
        else:
            w.add_tensor(name, gguf.quants.quantize(a, kind), raw_dtype=kind)


def _finish(w: gguf.GGUFWriter) -> None:
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def _file_type(storage: Storage) -> gguf.LlamaFileType:
    small = storage("blk.0.attn_q.weight", (32, 32)) == Type.Q8_0
    return gguf.LlamaFileType.MOSTLY_Q8_0 if small else gguf.LlamaFileType.ALL_F32


def write_text(
    path: Path, model: TextModel, vocabulary: Vocabulary, template: str, name: str, storage: Storage = as_f32
) -> None:
    """A complete text GGUF with tokenizer and chat template."""
    c, w = model.cfg, gguf.GGUFWriter(path, "gemma4")
    w.add_name(name)
    w.add_file_type(_file_type(storage))
    w.add_context_length(8192)
    w.add_embedding_length(c.n_embd)
    w.add_block_count(c.n_layer)
    w.add_feed_forward_length(c.n_ff)
    w.add_head_count(c.n_head if len(set(c.n_head)) > 1 else c.n_head[0])
    w.add_head_count_kv(c.n_head_kv if len(set(c.n_head_kv)) > 1 else c.n_head_kv[0])
    w.add_layer_norm_rms_eps(c.eps)
    w.add_rope_freq_base(c.base_full)
    w.add_rope_freq_base_swa(c.base_swa)
    w.add_rope_dimension_count(c.n_rot_full)
    w.add_rope_dimension_count_swa(c.n_rot_swa)
    w.add_key_length(c.hd_full)
    w.add_value_length(c.hd_full)
    w.add_key_length_swa(c.hd_swa)
    w.add_value_length_swa(c.hd_swa)
    w.add_sliding_window(c.window)
    w.add_sliding_window_pattern(c.swa)
    w.add_shared_kv_layers(c.n_shared)
    w.add_embedding_length_per_layer_input(c.ple)
    w.add_final_logit_softcapping(c.softcap)  # always: llama.cpp assumes 30 when the key is absent
    w.add_tokenizer_model("gemma4")
    w.add_token_list(vocabulary.tokens)
    w.add_token_types(vocabulary.types)
    w.add_token_scores([0.0] * len(vocabulary.tokens))
    w.add_token_merges(vocabulary.merges)
    w.add_bos_token_id(vocabulary.id("<bos>"))
    w.add_eos_token_id(vocabulary.id("<eos>"))
    w.add_unk_token_id(vocabulary.id("<unk>"))
    w.add_pad_token_id(vocabulary.id("<pad>"))
    w.add_mask_token_id(vocabulary.id("<mask>"))
    w.add_add_bos_token(True)
    w.add_add_space_prefix(False)
    w.add_chat_template(template)
    _add_tensors(w, model, storage)
    _finish(w)


def write_mmproj(
    path: Path, vision: VisionEncoder | None, audio: AudioEncoder | None, name: str, storage: Storage = as_f32
) -> None:
    """A complete projector GGUF of one or both encoders."""
    w = gguf.GGUFWriter(path, "clip")
    w.add_name(name)
    w.add_file_type(_file_type(storage))
    w.add_clip_has_vision_encoder(vision is not None)
    w.add_clip_has_audio_encoder(audio is not None)
    if vision is not None:
        v = vision.cfg
        w.add_clip_vision_projector_type(gguf.VisionProjectorType.GEMMA4V)
        w.add_vision_projection_dim(v.n_out)
        w.add_vision_image_size(224)
        w.add_vision_patch_size(v.patch)
        w.add_vision_embedding_length(v.n_embd)
        w.add_vision_feed_forward_length(v.n_ff)
        w.add_vision_block_count(v.n_layer)
        w.add_vision_head_count(v.n_head)
        w.add_vision_attention_layernorm_eps(v.eps)
        w.add_vision_image_mean(v.mean)
        w.add_vision_image_std(v.std)
        if v.n_merge != 3:
            w.add_uint32("clip.vision.projector.scale_factor", v.n_merge)
        if v.act in ("gelu", "silu"):
            w.add_bool(f"clip.use_{v.act}", True)
        _add_tensors(w, vision, storage)
    if audio is not None:
        a = audio.cfg
        w.add_clip_audio_projector_type(gguf.VisionProjectorType.GEMMA4A)
        w.add_audio_projection_dim(a.n_out)
        w.add_audio_embedding_length(a.n_embd)
        w.add_audio_feed_forward_length(a.n_ff)
        w.add_audio_block_count(a.n_layer)
        w.add_audio_head_count(a.n_head)
        w.add_audio_num_mel_bins(a.n_mel)
        w.add_audio_attention_layernorm_eps(1e-6)
        _add_tensors(w, audio, storage)
    _finish(w)
