/** What tasks that work in pieces (pages, chunks) share: what a piece cost, and how it may fail without the others. */
import { addUsage, RequestError, type Usage } from '@batchmill/contract';
import { EngineError, type Generation } from '@batchmill/engine';

/** What one engine call cost. */
export function callUsage({ usage }: Generation): Usage {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}

/** What the calls of a piece cost together. */
export function callsUsage(first: Generation, ...more: readonly Generation[]): Usage {
  return more.reduce((sum, generation) => addUsage(sum, callUsage(generation)), callUsage(first));
}

/** Why a piece has no text; JSON, to be kept with it. */
export interface PieceError {
  status: number;
  code: string | null;
  message: string;
}

/**
 * The failure of one piece alone, which another attempt would meet again, or null for what concerns more than the piece:
 * then the item fails or is tried again, so it must be thrown on. Ask the piece's `signal` first: what it throws is no
 * failure of the piece.
 */
export function pieceError(error: unknown): PieceError | null {
  if (error instanceof RequestError) return { status: error.status, code: error.code, message: error.message };
  if (!(error instanceof EngineError)) return null;
  switch (error.code) {
    case 'bad_media':
      return { status: 400, code: 'invalid_media', message: error.message };
    case 'context_overflow':
      return { status: 400, code: 'context_length_exceeded', message: error.message };
    default:
      return null;
  }
}
