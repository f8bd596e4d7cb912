import { copiedTensor, type Gguf, GgufError, isCombined, type MetadataValue, type NewTensor } from '../gguf/index.ts';
import { mendedTokenizer, projectorKeys, projectorName, textName, unpackedClamps } from './split-ollama.ts';

/** What goes into one of the two files. */
export interface FilePlan {
  metadata: Map<string, MetadataValue>;
  tensors: NewTensor[];
}

/**
 * Tensors of the encoders and of what joins them to the text model (clip-impl.h of llama.cpp), also those that a converter
 * has left under their first names: a projector may have tensors that llama.cpp does not know, a text model may not.
 */
const OF_PROJECTOR = /^(?:v|a|mm|model\.(?:vision_tower|audio_tower|embed_vision|embed_audio))\./;
/** Packed by Ollama's converter; becomes tensors of its own. */
const PACKED_CLAMPS = 'v.clamp_data';

/**
 * What a combined file becomes. Tensors keep their bytes. Two layouts are known: llama.cpp's (`clip.*` keys beside those of
 * the text model, nothing to rename) and Ollama's for Gemma 4 (`split-ollama.ts`).
 * @throws GgufError when the file is not combined, or of no layout that is known.
 */
export function planSplit(gguf: Gguf): { text: FilePlan; mmproj: FilePlan } {
  const { path } = gguf;
  const architecture = gguf.text('general.architecture');
  if (architecture === 'clip')
    throw new GgufError(`${path} is a projector (mmproj) already: give it as MMPROJ, beside its text model`);
  if (!isCombined(gguf))
    throw new GgufError(
      `${path} has no vision or audio encoder in it: it is a text model, and there is nothing to split`,
    );
  if ((gguf.number('split.count') ?? 1) > 1)
    throw new GgufError(`${path} is one of several parts: merge them first (llama-gguf-split --merge)`);

  const clipKeys = [...gguf.metadata.keys()].filter((key) => key.startsWith('clip.'));
  const ollama = clipKeys.length === 0;
  if (ollama && architecture !== 'gemma4')
    throw new GgufError(`${path} has no clip.* keys, and without them only Gemma 4 (as Ollama packs it) can be split`);

  // Tensors are aligned anew.
  const apart = ['clip.', `${architecture}.vision.`, `${architecture}.audio.`, 'general.alignment'];
  const textKeys = [...gguf.metadata.keys()].filter((key) => !apart.some((start) => key.startsWith(start)));
  const mmprojKeys = ['general.name', 'general.file_type', 'general.quantization_version'];
  return {
    text: {
      metadata: new Map([...copied(gguf, textKeys), ...mendedTokenizer(gguf)]),
      tensors: gguf.tensors
        .filter(({ name }) => !OF_PROJECTOR.test(name))
        .map((tensor) => copiedTensor(path, tensor, ollama ? textName(tensor.name) : tensor.name)),
    },
    mmproj: {
      metadata: new Map<string, MetadataValue>([
        ['general.architecture', { type: 'string', value: 'clip' }],
        ['general.type', { type: 'string', value: 'mmproj' }],
        ...copied(gguf, mmprojKeys),
        ...(ollama ? projectorKeys(gguf) : copied(gguf, clipKeys)),
      ]),
      tensors: [...projectorTensors(gguf, ollama), ...clamps(gguf)],
    },
  };
}

function copied(gguf: Gguf, keys: readonly string[]): Map<string, MetadataValue> {
  const values = new Map<string, MetadataValue>();
  for (const key of keys) {
    const value = gguf.raw(key);
    if (value !== null) values.set(key, { type: 'raw', value });
  }
  return values;
}

function projectorTensors(gguf: Gguf, ollama: boolean): NewTensor[] {
  return gguf.tensors
    .filter(({ name }) => OF_PROJECTOR.test(name) && name !== PACKED_CLAMPS)
    .map((tensor) => copiedTensor(gguf.path, tensor, ollama ? projectorName(tensor.name) : tensor.name));
}

function clamps(gguf: Gguf): NewTensor[] {
  const packed = gguf.tensors.find(({ name }) => name === PACKED_CLAMPS);
  return packed === undefined ? [] : unpackedClamps(gguf, packed);
}
