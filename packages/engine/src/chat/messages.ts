import type { Message, ToolCall, ToolDefinition } from '../port.ts';
import { EngineError } from '../port.ts';
import type { ControlTokenGuard } from './control-tokens.ts';
import type { ChatTemplate, TemplateMessage, TemplateTool, TemplateToolCall } from './template.ts';
import { isRecord, plainToolSchema } from './tool-schema.ts';

export interface Media {
  type: 'image' | 'audio';
  data: Uint8Array;
}

/**
 * Messages as templates read them: text guarded against control tokens, each picture and recording one media marker, in
 * order. Texts side by side are joined by a line break, as llama-server joins them.
 * @throws EngineError `bad_request` when a tool call's arguments are not a JSON object.
 */
export function templateMessages(
  messages: readonly Message[],
  template: ChatTemplate,
  guard: ControlTokenGuard,
  mediaMarker: string,
): { messages: TemplateMessage[]; media: Media[] } {
  const media: Media[] = [];
  const converted = messages.map((message): TemplateMessage => {
    const content = contentText(message, guard, mediaMarker, media);
    const result: TemplateMessage = { role: message.role, content };
    if (message.toolCalls !== undefined && message.toolCalls.length > 0) {
      result.tool_calls = message.toolCalls.map((call) => ({
        id: guard.breakUp(call.id),
        type: 'function',
        function: { name: guard.breakUp(call.name), arguments: callArguments(call, template, guard) },
      }));
    }
    if (message.toolCallId !== undefined) result.tool_call_id = guard.breakUp(message.toolCallId);
    if (message.toolName !== undefined) result.name = guard.breakUp(message.toolName);
    return result;
  });
  return { messages: converted, media };
}

function contentText(message: Message, guard: ControlTokenGuard, mediaMarker: string, media: Media[]): string {
  // Text is guarded after it is joined: two harmless halves may make one control token.
  let content = '';
  let text: string | null = null;
  for (const part of message.content) {
    if (part.type === 'text') {
      text = text === null ? part.text : `${text}\n${part.text}`;
    } else {
      content += guard.breakUp(text ?? '') + mediaMarker;
      text = null;
      media.push({ type: part.type, data: part.data });
    }
  }
  return content + guard.breakUp(text ?? '');
}

function callArguments(call: ToolCall, template: ChatTemplate, guard: ControlTokenGuard): unknown {
  let value: unknown;
  try {
    value = call.arguments.trim() === '' ? {} : JSON.parse(call.arguments);
  } catch (error) {
    throw new EngineError('bad_request', `The arguments of the tool call "${call.name}" are not JSON`, error);
  }
  if (!isRecord(value)) {
    throw new EngineError('bad_request', `The arguments of the tool call "${call.name}" are not a JSON object`);
  }
  return guardValue(template.toolStyle === 'gemma4' ? withoutNulls(value) : value, guard);
}

/** The Gemma 4 template has no form for null: a member that is null reads the same as one that is absent. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls);
  if (!isRecord(value)) return value;
  const members = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(members.map(([key, item]) => [key, withoutNulls(item)]));
}

/** Tool definitions in OpenAI's shape, every text in them guarded. */
export function templateTools(
  tools: readonly ToolDefinition[],
  template: ChatTemplate,
  guard: ControlTokenGuard,
): TemplateTool[] {
  return tools.map((tool) => {
    const parameters: Record<string, unknown> = { type: 'object', properties: {}, ...tool.parameters };
    const guarded = guardValue(template.toolStyle === 'gemma4' ? plainToolSchema(parameters) : parameters, guard);
    return {
      type: 'function',
      function: {
        name: guard.breakUp(tool.name),
        description: guard.breakUp(tool.description ?? ''),
        parameters: isRecord(guarded) ? guarded : {},
      },
    };
  });
}

/** A JSON value with every text and key in it guarded. */
function guardValue(value: unknown, guard: ControlTokenGuard): unknown {
  if (typeof value === 'string') return guard.breakUp(value);
  if (Array.isArray(value)) return value.map((item) => guardValue(item, guard));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [guard.breakUp(key), guardValue(item, guard)]));
}

/** System messages become part of the user's first turn, for templates that know no system role. */
export function foldSystem(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const system = messages.filter((message) => message.role === 'system').map((message) => textOf(message));
  const rest = messages.filter((message) => message.role !== 'system');
  if (system.length === 0) return rest;
  const first = rest[0];
  const preface = system.join('\n\n');
  if (first?.role !== 'user') return [{ role: 'user', content: preface }, ...rest];
  return [{ ...first, content: `${preface}\n\n${textOf(first)}` }, ...rest.slice(1)];
}

/** Neighbours of one role become one message, and the user begins: what templates that check for alternation demand. */
export function alternate(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const result: TemplateMessage[] = [];
  for (const message of messages) {
    const previous = result.at(-1);
    const begins = previous === undefined || previous.role === 'system';
    if (begins && message.role === 'assistant') result.push({ role: 'user', content: '' });
    if (previous?.role === message.role && message.role !== 'tool') {
      const calls: TemplateToolCall[] = [...(previous.tool_calls ?? []), ...(message.tool_calls ?? [])];
      const texts = [textOf(previous), textOf(message)].filter((text) => text !== '');
      result[result.length - 1] = {
        ...previous,
        content: texts.join('\n\n'),
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      };
    } else {
      result.push(message);
    }
  }
  return result;
}

/**
 * Tool results moved into the assistant message that called, and the assistant's answer after them too: the only form
 * the first Gemma 4 templates read (llama.cpp's `convert_tool_responses_gemma4` does the same).
 */
export function inlineToolResults(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const result: TemplateMessage[] = [];
  for (let at = 0; at < messages.length; ) {
    const message = messages[at];
    if (message === undefined) break;
    at += 1;
    if (message.tool_calls === undefined) {
      result.push(message);
      continue;
    }
    const responses: { name: string; response: unknown }[] = [];
    for (; messages[at]?.role === 'tool'; at += 1) {
      const answer = messages[at];
      if (answer === undefined) break;
      const call = message.tool_calls.find((candidate) => candidate.id === answer.tool_call_id);
      responses.push({ name: call?.function.name ?? answer.name ?? 'unknown', response: textOf(answer) });
    }
    const next = messages[at];
    if (responses.length > 0 && next?.role === 'assistant' && next.tool_calls === undefined) {
      result.push({ ...message, content: textOf(next), tool_responses: responses });
      at += 1;
    } else {
      result.push({ ...message, ...(responses.length > 0 ? { tool_responses: responses } : {}) });
    }
  }
  return result;
}

/** The content as a list of parts, for templates that read nothing else. */
export function asParts(messages: readonly TemplateMessage[]): TemplateMessage[] {
  return messages.map((message) => ({ ...message, content: [{ type: 'text', text: textOf(message) }] }));
}

function textOf(message: TemplateMessage): string {
  return typeof message.content === 'string' ? message.content : message.content.map((part) => part.text).join('\n');
}
