import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ExpressionError } from './expression-error.ts';

/** What a process is asked: a template as JSON (`{body, when}`), and what its expressions see; `null`: only compile it. */
export interface Question {
  template: string;
  input: Record<string, unknown> | null;
  /** Longest body, in characters of JSON. */
  most: number;
}
/** The body as JSON; `null` if `when` did not give `true`, or there was no input. */
export type Answer = { body: string | null } | { error: string };

/** Processes at most; they are started as they are needed, and stay. */
const PROCESSES = 3;
/** An expression stops itself after two seconds (`expression.ts`); one that does not is stopped with its process. */
const HARD_MS = 5_000;
/** It reads its own code and nothing else: no network is needed, no file is written, and the settings stay here. */
const PROCESS = {
  execArgv: ['--max-old-space-size=96', '--permission', '--allow-fs-read=*', '--disable-warning=SecurityWarning'],
  env: {},
  stdio: ['ignore', 'ignore', 'ignore', 'ipc'] as ['ignore', 'ignore', 'ignore', 'ipc'],
};

/**
 * Questions of a tenant that are asked together: an answer takes a turn of two event loops, whose number a second is what bounds
 * the events a second.
 */
const TOGETHER = 32;

interface Job {
  question: Question;
  /** It was among some that ended a process together. Each of these is asked again by itself, and only the culprit pays. */
  alone: boolean;
  settle(answer: Answer): void;
}

/**
 * Expressions that tenants wrote run in processes of their own with bounds on time and memory, so that one that does not end, or
 * fills the memory, ends its process and not the API. (A thread would not do: V8 ends the whole process when memory runs out in
 * one large allocation.) A tenant has one of them at a time: what its expressions cost, others do not wait for.
 */
export class Sandbox {
  /** What waits, by tenant; tenants take turns. */
  readonly #waiting = new Map<string, Job[]>();
  readonly #running = new Set<string>();
  readonly #idle: Child[] = [];
  #processes = 0;

  /** The body a template gives for an event. @throws ExpressionError */
  async fill(tenant: string, question: Question): Promise<unknown> {
    const answer = await new Promise<Answer>((settle) => {
      const waiting = this.#waiting.get(tenant) ?? [];
      waiting.push({ question, alone: false, settle });
      this.#waiting.set(tenant, waiting);
      this.#next();
    });
    if ('error' in answer) throw new ExpressionError(answer.error);
    return answer.body === null ? null : JSON.parse(answer.body);
  }

  #next(): void {
    for (const [tenant, jobs] of this.#waiting) {
      if (this.#running.has(tenant)) continue;
      const child = this.#idle.pop() ?? this.#start();
      if (child === null) return;
      const together = jobs.findIndex(({ alone }) => alone);
      const chosen = jobs.splice(0, together < 0 ? TOGETHER : Math.max(1, Math.min(together, TOGETHER)));
      // Behind the others, if there is more.
      this.#waiting.delete(tenant);
      if (jobs.length > 0) this.#waiting.set(tenant, jobs);
      this.#running.add(tenant);
      void this.#run(child, tenant, chosen);
    }
  }

  #start(): Child | null {
    if (this.#processes >= PROCESSES) return null;
    this.#processes++;
    return new Child();
  }

  async #run(child: Child, tenant: string, jobs: Job[]): Promise<void> {
    const answers = await child.ask(jobs.map(({ question }) => question));
    if (answers === null) this.#processes--;
    else this.#idle.push(child);
    this.#running.delete(tenant);
    if (answers === null && jobs.length > 1) {
      const again = jobs.map((job) => ({ ...job, alone: true }));
      this.#waiting.set(tenant, [...again, ...(this.#waiting.get(tenant) ?? [])]);
    }
    this.#next();
    if (answers === null && jobs.length > 1) return;
    const stopped = { error: 'an expression of the template took too long, or too much memory, and was stopped' };
    for (const [i, { settle }] of jobs.entries()) settle(answers?.[i] ?? stopped);
  }
}

/** The sandbox of this process. Its processes keep this one not alive, and end with it. */
export const sandbox = new Sandbox();

class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<null>;
  /** Its first word is that it is up: on a busy machine that takes a while, for which no expression can be blamed. */
  readonly #up: Promise<unknown>;

  constructor() {
    this.#process = fork(fileURLToPath(new URL('./sandbox-process.ts', import.meta.url)), [], PROCESS);
    const ended = Promise.withResolvers<null>();
    this.#ended = ended.promise;
    this.#process.on('error', () => ended.resolve(null));
    this.#process.on('exit', () => ended.resolve(null));
    this.#up = this.#message();
  }

  /** Answers in the order of the questions; nothing else may be asked meanwhile. `null`: it has ended, or was ended, and is good for nothing more. */
  async ask(questions: Question[]): Promise<Answer[] | null> {
    this.#hold(true);
    let timer: NodeJS.Timeout | undefined;
    try {
      if ((await Promise.race([this.#up, this.#ended])) === null) return null;
      const answered = this.#message();
      this.#process.send(questions, () => {});
      const late = new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), HARD_MS);
      });
      const answer = await Promise.race([answered, this.#ended, late]);
      if (answer === null) this.#process.kill('SIGKILL');
      return answer;
    } finally {
      clearTimeout(timer);
      this.#hold(false);
    }
  }

  #message(): Promise<Answer[]> {
    return new Promise((resolve) => this.#process.once('message', resolve));
  }

  /** Whether this process waits for it. */
  #hold(wanted: boolean): void {
    if (wanted) this.#process.ref();
    else this.#process.unref();
    if (wanted) this.#process.channel?.ref();
    else this.#process.channel?.unref();
  }
}
