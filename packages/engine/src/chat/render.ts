import type { GenerateRequest } from '../port.ts';
import { EngineError } from '../port.ts';
import { type ControlTokenGuard, controlTokenGuard } from './control-tokens.ts';
import {
  alternate,
  asParts,
  foldSystem,
  inlineToolResults,
  type Media,
  templateMessages,
  templateTools,
} from './messages.ts';
import { type ChatTemplate, chatTemplate, type TemplateInput, type TemplateMessage } from './template.ts';

export type PromptRequest = Pick<GenerateRequest, 'messages' | 'tools' | 'toolChoice'> & { thinking?: boolean };

export interface RenderOptions {
  bosToken?: string;
  eosToken?: string;
  /** The tokenizer puts BOS in front itself (`tokenizer.ggml.add_bos_token`; true unless given): a rendered BOS is left out. */
  addsBos?: boolean;
  /** The text the engine replaces by the next picture or recording. */
  mediaMarker: string;
  /** Texts of the vocabulary's control tokens. Keep one list per model: work is cached by its identity. */
  controlTokens: readonly string[];
}

export interface RenderedPrompt {
  /** To be tokenised with special tokens parsed. */
  prompt: string;
  /** One per media marker in `prompt`, in order. */
  media: Media[];
  /** What of the answer `prompt` already holds: a forced tool call's beginning, or an opened thought. Goes to `parseAnswer`. */
  prefill: string;
}

/**
 * Renders a conversation with the model's own chat template (`tokenizer.chat_template` of its GGUF).
 * No text of messages, tools or schemas can come out as a control token or a media marker.
 * @throws EngineError `bad_request` when the template refuses the conversation, `unsupported` when it has no tools.
 */
export function renderPrompt(template: string, request: PromptRequest, options: RenderOptions): RenderedPrompt {
  try {
    return render(chatTemplate(template), request, options);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    // Schemas and arguments nested thousands deep end here, out of stack.
    throw new EngineError('bad_request', `The conversation cannot be rendered: ${message(error)}`, error);
  }
}

function render(chat: ChatTemplate, request: PromptRequest, options: RenderOptions): RenderedPrompt {
  const guard = controlTokenGuard(options.controlTokens, options.mediaMarker);
  const { messages, media } = templateMessages(request.messages, chat, guard, options.mediaMarker);
  const choice = request.toolChoice ?? 'auto';
  const tools = choice === 'none' || !request.tools?.length ? null : templateTools(request.tools, chat, guard);
  if (tools !== null && !chat.tools) {
    throw new EngineError('unsupported', 'This model takes no tools: its chat template has none');
  }
  const input: Omit<TemplateInput, 'messages'> = {
    tools,
    add_generation_prompt: true,
    enable_thinking: request.thinking ?? false,
    bos_token: options.bosToken ?? '',
    eos_token: options.eosToken ?? '',
  };
  let prompt = renderLeniently(chat, messages, input);

  if (chat.toolStyle === 'gemma4' && prompt.endsWith('<turn|>\n')) {
    // After an assistant message with both text and tool calls the template forgets to open the model's turn.
    prompt += input.enable_thinking ? '<|turn>model\n' : '<|turn>model\n<|channel>thought\n<channel|>';
  }
  const { bosToken } = options;
  if (bosToken && (options.addsBos ?? true) && prompt.startsWith(bosToken)) prompt = prompt.slice(bosToken.length);

  let prefill = /<think>\s*$/.exec(prompt)?.[0] ?? '';
  if (tools !== null && choice !== 'auto') {
    const forced = forcedCall(chat, request, guard, prefill);
    prompt += forced;
    prefill += forced;
  }
  return { prompt, media, prefill };
}

/** As the template stands; where it refuses, with the roles put in the order that strict templates demand. */
function renderLeniently(
  chat: ChatTemplate,
  messages: TemplateMessage[],
  input: Omit<TemplateInput, 'messages'>,
): string {
  const shaped = chat.inlineToolResults ? inlineToolResults(messages) : messages;
  const native = chat.system ? shaped : foldSystem(shaped);
  const attempts = [
    () => native,
    () => alternate(native),
    // A system message in the middle is refused by some templates that take one at the start.
    () => alternate(foldSystem(shaped)),
  ];
  let refusal: unknown;
  for (const attempt of attempts) {
    try {
      const arranged = attempt();
      return chat.render({ ...input, messages: chat.partsOnly ? asParts(arranged) : arranged });
    } catch (error) {
      refusal ??= error;
    }
  }
  throw new EngineError(
    'bad_request',
    `The model's chat template refuses this conversation: ${message(refusal)}`,
    refusal,
  );
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The beginning of a tool call, put into the model's mouth when a call is required. */
function forcedCall(chat: ChatTemplate, request: PromptRequest, guard: ControlTokenGuard, opened: string): string {
  const names = (request.tools ?? []).map((tool) => tool.name);
  const chosen =
    typeof request.toolChoice === 'object' ? request.toolChoice.name : names.length === 1 ? names[0] : null;
  if (chosen && !names.includes(chosen)) {
    throw new EngineError('bad_request', `tool_choice names "${chosen}", which is not among the tools`);
  }
  // A thought the template has opened must be closed first, or the call would be part of it.
  const close = opened === '' ? '' : '\n</think>\n\n';
  const name = chosen ? guard.breakUp(chosen) : null;
  switch (chat.toolStyle) {
    case 'gemma4':
      return `${close}<|tool_call>call:${name ? `${name}{` : ''}`;
    case 'tagged-json':
      return `${close}<tool_call>\n{"name": ${name ? `${JSON.stringify(name)}, "arguments": ` : '"'}`;
    case null:
      throw new EngineError('unsupported', 'This model cannot be made to call a tool: use tool_choice "auto"');
  }
}
