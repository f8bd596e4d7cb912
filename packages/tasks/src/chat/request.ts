import { ChatRequest, invalid } from '@batchmill/contract';
import { wrong } from '../refusals.ts';

/**
 * Reads a body, with the rules that one parameter sets for another.
 * @throws RequestError 400 that names the parameter.
 */
export function parseRequest(body: Record<string, unknown>): ChatRequest {
  const parsed = ChatRequest.safeParse(body);
  if (!parsed.success) throw invalid(parsed.error, body);
  const request = parsed.data;
  if (typeof request.top_logprobs === 'number' && request.logprobs !== true)
    throw wrong('top_logprobs', "'logprobs' must be true when this is set");
  const names = new Set(request.tools?.map((tool) => tool.function.name));
  if (request.tools !== undefined && names.size !== request.tools.length)
    throw wrong('tools', 'two tools have the same name');
  const choice = request.tool_choice;
  if (choice !== undefined && choice !== 'none' && choice !== 'auto' && names.size === 0)
    throw wrong('tool_choice', "it needs 'tools'");
  if (typeof choice === 'object' && !names.has(choice.function.name))
    throw wrong('tool_choice.function.name', `there is no tool '${choice.function.name}' in 'tools'`);
  return request;
}
