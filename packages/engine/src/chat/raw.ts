import type { PromptPart } from '../port.ts';
import { controlTokenGuard } from './control-tokens.ts';

/** A prompt as its author wrote it, with what others wrote kept from being read as control tokens. */
export function rawPrompt(
  parts: readonly PromptPart[],
  { controlTokens, mediaMarker }: { controlTokens: readonly string[]; mediaMarker: string },
): string {
  const guard = controlTokenGuard(controlTokens, mediaMarker);
  return parts.map((part) => (typeof part === 'string' ? part : guard.breakUp(part.text))).join('');
}
