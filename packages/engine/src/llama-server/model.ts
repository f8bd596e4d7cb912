import { chatTemplate, renderPrompt } from '../chat/index.ts';
import { describeModel, readGguf } from '../gguf/index.ts';
import { EngineError, type Message } from '../port.ts';

/** What of a model's file decides how it is talked to. */
export interface Dialect {
  template: string;
  controlTokens: readonly string[];
  /** Those of them that are no part of an answer: turns, the beginning of the text, media. */
  structure: readonly string[];
  bosToken: string;
  eosToken: string;
  addsBos: boolean;
  /** Bytes of the longest token: a text of more than n times that has more than n tokens. */
  longestToken: number;
  /** How the model's reasoning opens and closes, if its vocabulary has tokens for that. */
  thinking: Thinking | null;
  /** The token a tool call opens with, if there is one. */
  toolCall: number | null;
  /** Control tokens that are part of answers: without being named they would not be written out. */
  preserved: string[];
  /** The beginning of a user's turn: the server keeps its state from before the last one for the next prompt. */
  userTurn: string | null;
}

export interface Thinking {
  /** Text that opens a thought: the opening marker and what the model writes after it. */
  opening: string;
  /** Text that closes it. */
  closing: string;
  /** What stands between the closing marker and the answer. */
  gap: string;
  /** Token ids of the markers. */
  open: number;
  close: number;
}

const WRITTEN_OUT = ['<|channel>', '<channel|>', '<|tool_call>', '<tool_call|>', '<|"|>'].concat([
  '<think>',
  '</think>',
  '<tool_call>',
  '</tool_call>',
]);

/**
 * Reads the text model's file.
 * @throws EngineError `model_unusable` when it is not a text model with a chat template.
 */
export function readDialect(path: string): Dialect {
  const model = describeModel(path);
  if (model.isMmproj) throw new EngineError('model_unusable', `${path} is a projector (mmproj), not a text model`);
  if (model.combined) {
    throw new EngineError(
      'model_unusable',
      `${path} holds a text model and its projector in one file, and llama.cpp loads only separate files: \`batchmill models split\` makes them`,
    );
  }
  const template = model.chatTemplate;
  if (template === null)
    throw new EngineError('model_unusable', `${path} has no chat template (tokenizer.chat_template)`);
  const tags = chatTemplate(template).thinking;
  const open = model.controlTokenIds.get(tags.open);
  const close = model.controlTokenIds.get(tags.close);
  const gemma = tags.open === '<|channel>';
  const preserved = WRITTEN_OUT.filter((token) => model.controlTokenIds.has(token));
  const dialect: Dialect = {
    template,
    controlTokens: model.controlTokens,
    structure: model.controlTokens.filter((token) => !preserved.includes(token)),
    bosToken: model.bosToken ?? '',
    eosToken: model.eosToken ?? '',
    addsBos: model.addsBos,
    longestToken: longestToken(path),
    thinking:
      open === undefined || close === undefined
        ? null
        : {
            opening: gemma ? '<|channel>thought\n' : `${tags.open}\n`,
            open,
            close,
            closing: tags.close,
            gap: gemma ? '' : '\n\n',
          },
    toolCall: model.controlTokenIds.get('<|tool_call>') ?? model.controlTokenIds.get('<tool_call>') ?? null,
    preserved,
    userTurn: null,
  };
  return { ...dialect, userTurn: userTurn(dialect) };
}

function longestToken(path: string): number {
  let longest = 1;
  readGguf(path).texts('tokenizer.ggml.tokens', (utf8) => {
    longest = Math.max(longest, utf8.length);
    return false;
  });
  return longest;
}

/** The text that always stands before a user's words, with and without a system message before them. */
function userTurn(dialect: Dialect): string | null {
  const words = 'Zq7words';
  const user: Message = { role: 'user', content: [{ type: 'text', text: words }] };
  const system: Message = { role: 'system', content: [{ type: 'text', text: 'S' }] };
  try {
    const [alone = '', after = ''] = [[user], [system, user]].map((messages) => {
      const { prompt } = renderPrompt(dialect.template, { messages }, { ...dialect, mediaMarker: '<__media__>' });
      return prompt.slice(0, prompt.indexOf(words));
    });
    let length = 0;
    while (length < alone.length && alone.at(-1 - length) === after.at(-1 - length)) length += 1;
    const common = length === 0 ? '' : alone.slice(-length);
    return common.trim() === '' ? null : common;
  } catch (error) {
    // A template that refuses such a conversation has no such turn.
    if (error instanceof EngineError) return null;
    throw error;
  }
}
