import { addUsage, NO_USAGE, type Usage } from '@batchmill/contract';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import { callUsage, type PieceError } from '../piece.ts';

export interface AnnotationOptions {
  /** Markdown of each page, in order. */
  pages: readonly string[];
  /** JSON schema the annotation obeys. */
  schema: Record<string, unknown>;
  /** Replaces the default instruction. */
  prompt?: string;
  /** An engine call. Several may be under way at once. */
  generate(request: GenerateRequest): Promise<Generation>;
  /** Context of one slot. Without it the engine is asked what is too long. */
  contextTokens?: number;
  /** Upper bound of tokens of each answer; without it, what is left of the context. */
  maxTokens?: number;
  signal: AbortSignal;
}

export interface DocumentAnnotation {
  /** JSON text by the schema; `null` if there is none: see `error`, or the document has no text. */
  annotation: string | null;
  error: PieceError | null;
  /** Of all calls, those of a failed annotation too. */
  usage: Usage;
}

/** Few enough that a page of digits or of Chinese fits as well: text of most languages has about 4 to a token. */
const CHARACTERS_PER_TOKEN = 3;

/** Less text than this in a call reads no document: the context is too small for schema and instruction. */
const LEAST_CHARACTERS = 200;

const READ =
  'Read the document below and fill in a JSON object with what it says. Leave out or null what it does not say.';
const MERGE =
  'Each of the JSON objects below was read from one part of the same document, in order. Combine them into one object ' +
  'for the whole document: keep every entry of a list, in order, and once; where objects differ in a value, take the ' +
  'first that is filled in.';

/**
 * One JSON object for a whole document (`document_annotation_format`), by a constrained call over its Markdown. What is
 * too long for one call is read in groups of pages, and a further call combines their objects, in several steps if it
 * must be. The annotation may fail without the pages: what another attempt would meet again is in `error`
 * (`annotation_truncated`, `invalid_annotation`, `context_length_exceeded`, `invalid_schema`).
 * @throws EngineError for what may pass, and what `signal` throws.
 */
export async function documentAnnotation(options: AnnotationOptions): Promise<DocumentAnnotation> {
  const pages = options.pages.filter((page) => page.trim() !== '');
  const run = new Run(options);
  if (pages.length === 0) return { annotation: null, error: null, usage: NO_USAGE };
  try {
    return { annotation: await run.read(pages, run.roomFor(READ)), error: null, usage: run.usage };
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof AnnotationError)) throw error;
    return { annotation: null, error: { status: 400, code: error.code, message: error.message }, usage: run.usage };
  }
}

class AnnotationError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

class Run {
  usage = NO_USAGE;
  readonly #options: AnnotationOptions;

  constructor(options: AnnotationOptions) {
    this.#options = options;
  }

  /** Characters of text one call can take, beside `instruction`, schema and answer. */
  roomFor(instruction: string): number {
    const { contextTokens, maxTokens, schema } = this.#options;
    if (contextTokens === undefined) return Number.POSITIVE_INFINITY;
    const answer = maxTokens ?? Math.min(4_096, Math.floor(contextTokens / 4));
    const around = instruction.length + (this.#options.prompt?.length ?? 0) + JSON.stringify(schema).length;
    return Math.max(LEAST_CHARACTERS, (contextTokens - answer) * CHARACTERS_PER_TOKEN - around);
  }

  /** The object of these pages; `room`: characters of a call. */
  async read(pages: readonly string[], room: number): Promise<string> {
    if (lengthOf(pages) <= room) {
      const answer = await this.#call(READ, 'page', pages);
      if (answer !== null) return answer;
      room = half(pages);
    }
    const parts = await all(
      grouped(
        pages.flatMap((page) => sliced(page, room)),
        room,
      ),
      (group) => this.read(group, room),
    );
    return this.#merge(parts, this.roomFor(MERGE));
  }

  async #merge(parts: readonly string[], room: number): Promise<string> {
    if (parts.length === 1 && parts[0] !== undefined) return parts[0];
    if (lengthOf(parts) <= room) {
      const answer = await this.#call(MERGE, 'part', parts);
      if (answer !== null) return answer;
      room = half(parts);
    }
    const groups = grouped(parts, room);
    if (groups.length === parts.length) throw tooLong();
    return this.#merge(await all(groups, (group) => this.#merge(group, room)), room);
  }

  /** The JSON text, or `null` if the prompt was too long. */
  async #call(instruction: string, tag: string, texts: readonly string[]): Promise<string | null> {
    const { schema, prompt, maxTokens, generate, signal } = this.#options;
    signal.throwIfAborted();
    const text = [
      // What the user wants is said again when parts are combined: it may tell what to keep.
      instruction === READ ? (prompt ?? READ) : [prompt, MERGE].filter(Boolean).join('\n\n'),
      `Answer with JSON alone, by this JSON schema:\n${JSON.stringify(schema)}`,
      ...texts.map((one) => `<${tag}>\n${one}\n</${tag}>`),
    ].join('\n\n');
    let generation: Generation;
    try {
      generation = await generate({
        messages: [{ role: 'user', content: [{ type: 'text', text }] }],
        thinking: false,
        sampling: { temperature: 0, topP: 1, topK: 1 },
        ...(maxTokens === undefined ? {} : { maxTokens }),
        stop: [],
        format: { type: 'json_schema', schema },
      });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.code === 'context_overflow') return null;
      if (error.code === 'bad_request' || error.code === 'unsupported')
        throw new AnnotationError(
          'invalid_schema',
          `The engine refuses the schema of the annotation: ${error.message}`,
        );
      throw error;
    }
    this.usage = addUsage(this.usage, callUsage(generation));
    return checked(generation);
  }
}

function checked({ text, finishReason }: Generation): string {
  if (finishReason === 'length')
    throw new AnnotationError(
      'annotation_truncated',
      'The annotation was cut off, as it reached the most tokens an answer may have. Ask for less in the schema.',
    );
  try {
    JSON.parse(text);
    return text;
  } catch {
    throw new AnnotationError('invalid_annotation', 'What the model wrote as the annotation is no JSON.');
  }
}

const tooLong = () =>
  new AnnotationError(
    'context_length_exceeded',
    'The annotation of the whole document does not fit the context of the model. Annotate fewer pages, or ask for less in the schema.',
  );

/** Of texts with what stands around each. */
const lengthOf = (texts: readonly string[]) => texts.reduce((sum, text) => sum + text.length + 20, 0);

function half(texts: readonly string[]): number {
  const room = Math.ceil(lengthOf(texts) / 2);
  if (room < LEAST_CHARACTERS) throw tooLong();
  return room;
}

/** Neighbours together while they fit `room`; at least one in each group. */
function grouped(texts: readonly string[], room: number): string[][] {
  const groups: string[][] = [];
  let left = 0;
  for (const text of texts) {
    const last = groups.at(-1);
    const length = lengthOf([text]);
    if (last !== undefined && length <= left) last.push(text);
    else {
      groups.push([text]);
      left = room;
    }
    left -= length;
  }
  return groups;
}

/** A page that is too long alone, in pieces that end with a line where that is possible. */
function sliced(page: string, room: number): string[] {
  const most = room - lengthOf(['']);
  const slices: string[] = [];
  let rest = page;
  while (rest.length > most) {
    const line = rest.lastIndexOf('\n', most);
    let end = line > most / 2 ? line : most;
    // Never between the halves of one character.
    if (/[\udc00-\udfff]/.test(rest.charAt(end))) end--;
    slices.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...slices, rest];
}

/** All results in order. Waits for all calls before it throws: none may go on unseen. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<string>): Promise<string[]> {
  const settled = await Promise.allSettled(items.map(work));
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
