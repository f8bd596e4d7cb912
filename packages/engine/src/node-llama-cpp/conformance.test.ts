import { fileURLToPath } from 'node:url';
import { engineConformance } from '../conformance.ts';
import { readGguf } from '../gguf/index.ts';
import { startNodeLlamaCpp } from './node-llama-cpp.ts';

const modelPath = fileURLToPath(new URL('../../../../models/test/text.gguf', import.meta.url));
const vocabulary = new Map(
  readGguf(modelPath)
    .texts('tokenizer.ggml.tokens', () => true)
    .map(([id, text]) => [text, id]),
);
const id = (token: string) => vocabulary.get(token) ?? Number.NaN;

engineConformance(
  'node-llama-cpp',
  () => startNodeLlamaCpp({ modelPath, model: 'tiny', slots: 4, contextTokens: 4_096, threads: 1, gpu: false }),
  {
    image: false,
    audio: false,
    logprobs: true,
    jsonSchema: true,
    classify: true,
    controlTokens: ['<turn|>', '<|turn>', '<|tool_call>', '<|channel>', '<|"|>', '<|image|>', '<bos>'],
    endTokens: [id('<turn|>'), id('<eos>'), id('<|tool_response>')],
    closingBrace: id('}'),
  },
);
