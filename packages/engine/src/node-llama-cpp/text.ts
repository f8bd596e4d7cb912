import type { LlamaModel, Token } from 'node-llama-cpp';
import type { Loaded } from './loaded.ts';

/** Tokens that may make up one character. */
const LONGEST_CHARACTER = 8;

/** The text of an answer as it grows, up to the first stop text. */
export class AnswerText {
  readonly #model: LlamaModel;
  readonly #writtenOut: ReadonlySet<number>;
  readonly #stop: string[];
  readonly #longest: number;
  /** Stop texts count from here on. */
  #from = Infinity;
  /** Tokens whose bytes do not make a character yet. */
  #pending: Token[] = [];
  #last: Token[] = [];
  #text = '';
  stopped = false;

  constructor({ model, writtenOut }: Loaded, stop: readonly string[]) {
    this.#model = model;
    this.#writtenOut = writtenOut;
    this.#stop = stop.filter((text) => text !== '');
    this.#longest = Math.max(0, ...this.#stop.map((text) => text.length));
  }

  get length(): number {
    return this.#text.length;
  }

  /** From here on a stop text ends the answer. */
  heedStops(): void {
    this.end();
    this.#from = this.#text.length;
  }

  add(token: Token): void {
    if (this.#writtenOut.has(token)) {
      this.end();
      this.#pending.push(token);
      this.#take(this.#model.detokenize([token], true));
      return;
    }
    this.#pending.push(token);
    const piece = this.#model.detokenize(this.#pending, false, this.#last);
    if (!piece.endsWith('\uFFFD') || this.#pending.length >= LONGEST_CHARACTER) this.#take(piece);
  }

  /** The text so far, with what of a character is there. */
  end(): string {
    if (this.#pending.length > 0) this.#take(this.#model.detokenize(this.#pending, false, this.#last));
    return this.#text;
  }

  #take(piece: string): void {
    this.#last = [...this.#last, ...this.#pending].slice(-LONGEST_CHARACTER);
    this.#pending = [];
    if (this.stopped) return;
    const from = Math.max(this.#from, this.#text.length - this.#longest);
    this.#text += piece;
    if (from === Infinity) return;
    const found = this.#stop.map((text) => this.#text.indexOf(text, from)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#text = this.#text.slice(0, Math.min(...found));
      this.stopped = true;
    }
  }
}
