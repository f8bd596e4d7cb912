import type { Usage } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';

export interface AnnotationOptions {
  /** Markdown of each page, in order. */
  pages: readonly string[];
  /** JSON schema the annotation obeys. */
  schema: Record<string, unknown>;
  /** Replaces the default instruction. */
  prompt?: string;
  generate(request: GenerateRequest): Promise<Generation>;
  /** Context of one slot; without it only the engine says what is too long. */
  contextTokens?: number;
  /** Upper bound of the answer of each call. */
  maxTokens?: number;
  signal: AbortSignal;
}

/** Either the JSON text or why there is none; `usage` is the sum over all calls. */
export interface DocumentAnnotation {
  annotation: string | null;
  error: { code: string; message: string } | null;
  usage: Usage;
}

export async function documentAnnotation(_options: AnnotationOptions): Promise<DocumentAnnotation> {
  throw new Error('not built yet');
}
