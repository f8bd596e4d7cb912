import type { PromptPart } from '../port.ts';
import { controlTokenGuard } from './control-tokens.ts';
import type { RenderOptions } from './render.ts';

/**
 * A prompt as its author wrote it, to be tokenised with special tokens parsed. What others wrote in it cannot come out as a
 * control token or a media marker.
 */
export function rawPrompt(
  parts: readonly PromptPart[],
  { controlTokens, mediaMarker, bosToken, addsBos = true }: Omit<RenderOptions, 'eosToken'>,
): string {
  const guard = controlTokenGuard(controlTokens, mediaMarker);
  let prompt = '';
  let written = '';
  for (const part of parts) {
    if (typeof part !== 'string') {
      // Two texts in a row are one: a token must not come together from their halves.
      written += part.text;
      continue;
    }
    prompt += guard.breakUp(written) + part;
    written = '';
  }
  prompt += guard.breakUp(written);
  return bosToken && addsBos && prompt.startsWith(bosToken) ? prompt.slice(bosToken.length) : prompt;
}
