import { Template } from '@huggingface/jinja';
import { EngineError } from '../port.ts';

/** A message as chat templates read it (the shape of Hugging Face's `apply_chat_template`). */
export interface TemplateMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string | { type: 'text'; text: string }[];
  tool_calls?: TemplateToolCall[];
  tool_call_id?: string;
  name?: string;
  /** The form older Gemma 4 templates want tool results in. */
  tool_responses?: { name: string; response: unknown }[];
}

export interface TemplateToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: unknown };
}

export interface TemplateTool {
  type: 'function';
  function: { name: string; description: string; parameters: Record<string, unknown> };
}

export interface TemplateInput {
  messages: TemplateMessage[];
  tools: TemplateTool[] | null;
  add_generation_prompt: boolean;
  enable_thinking: boolean;
  bos_token: string;
  eos_token: string;
}

/** How a model is told to call tools, and how it writes a call. `null`: the template has no tools we know the form of. */
export type ToolStyle = 'gemma4' | 'tagged-json' | null;

/** A compiled chat template and what was found out about it. */
export interface ChatTemplate {
  /** @throws Error as the template raises it. */
  render(input: TemplateInput): string;
  /** The template renders system messages. */
  readonly system: boolean;
  /** The template reads `content` only as a list of parts. */
  readonly partsOnly: boolean;
  /** The template shows tools to the model at all. */
  readonly tools: boolean;
  readonly toolStyle: ToolStyle;
  /** The template takes tool results only inside the assistant message (`tool_responses`). */
  readonly inlineToolResults: boolean;
  /** The texts that open and close the model's reasoning. */
  readonly thinking: { open: string; close: string };
}

const compiled = new Map<string, ChatTemplate>();

/**
 * Compiles a GGUF's `tokenizer.chat_template`, once per template text.
 * @throws EngineError `model_unusable` when it is not a template this Jinja reads.
 */
export function chatTemplate(source: string): ChatTemplate {
  let template = compiled.get(source);
  if (template === undefined) {
    template = compile(source);
    compiled.set(source, template);
  }
  return template;
}

function compile(source: string): ChatTemplate {
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw new EngineError(
      'model_unusable',
      `The model's chat template cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  const gemma4 = source.includes('<|tool_call>call:');
  const render = (input: TemplateInput) => template.render({ ...input });
  return {
    render,
    system: renders(render, [
      { role: 'system', content: PROBE },
      { role: 'user', content: 'a' },
    ]),
    partsOnly:
      !renders(render, [{ role: 'user', content: PROBE }]) &&
      renders(render, [{ role: 'user', content: [{ type: 'text', text: PROBE }] }]),
    tools: /\btools\b/.test(source),
    toolStyle: gemma4 ? 'gemma4' : source.includes('<tool_call>') ? 'tagged-json' : null,
    inlineToolResults: source.includes('tool_responses') && !source.includes('tool_call_id'),
    thinking: source.includes('<|channel>')
      ? { open: '<|channel>', close: '<channel|>' }
      : { open: '<think>', close: '</think>' },
  };
}

/** A text no template has of itself. */
const PROBE = 'Zq7probe';

function renders(render: ChatTemplate['render'], messages: TemplateMessage[]): boolean {
  try {
    const text = render({
      messages,
      tools: null,
      add_generation_prompt: true,
      enable_thinking: false,
      bos_token: '',
      eos_token: '',
    });
    return text.includes(PROBE);
  } catch {
    // A template that refuses the probe does not have the ability asked about.
    return false;
  }
}
