import { fileURLToPath } from 'node:url';
import { beforeAll } from 'vitest';
import { engineConformance } from '../conformance.ts';
import { readGguf } from '../gguf/index.ts';
import { ensureLlamaServer, type LlamaServerProgram, startLlamaServer } from './index.ts';

const model = fileURLToPath(new URL('../../../../models/test/text.gguf', import.meta.url));
const mmproj = fileURLToPath(new URL('../../../../models/test/mmproj.gguf', import.meta.url));

let program: LlamaServerProgram;
// The first run on a machine builds it.
beforeAll(async () => {
  program = await ensureLlamaServer();
}, 600_000);

const tokens = new Map(
  readGguf(model)
    .texts('tokenizer.ggml.tokens', () => true)
    .map(([id, text]) => [text, id]),
);
const id = (token: string) => tokens.get(token) ?? Number.NaN;

engineConformance(
  'llama-server',
  () =>
    startLlamaServer({
      program: program.path,
      version: program.version,
      model,
      mmproj,
      name: 'tiny',
      slots: 4,
      contextTokens: 4_096,
      threads: 1,
      imageMinTokens: 4,
      imageMaxTokens: 64,
    }),
  {
    image: true,
    audio: true,
    logprobs: true,
    jsonSchema: true,
    classify: true,
    controlTokens: ['<turn|>', '<|turn>', '<|tool_call>', '<|channel>', '<|"|>', '<|image|>', '<bos>'],
    endTokens: [id('<turn|>'), id('<eos>'), id('<|tool_response>')],
    closingBrace: id('}'),
  },
);
