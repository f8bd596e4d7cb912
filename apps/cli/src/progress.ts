/** What people see while something takes long: one line redrawn on a terminal, a line now and then elsewhere. */
export interface Progress {
  /** Without a `speed`, that of the last half minute is reckoned from `done`. */
  update(message: string, done?: number, total?: number, speed?: Speed): void;
  /** Ends the line. */
  end(message?: string): void;
  /** Says something that should not be overlooked; the progress goes on below it. */
  warn(warning: string): void;
}

/** How fast something goes, where one who knows better than the count says so. */
export interface Speed {
  /** `412 pages, 8.3 pages/s`; `` if there is nothing to say. */
  text: string;
  secondsLeft: number | null;
  /** How much of the whole is done, where that is known better than by the count. */
  share?: number;
}

const WIDTH = 28;
/** Where there is no terminal (CI, a log), a line at most this often, and whenever the message changes. */
const PLAIN_EVERY_MS = 5_000;

export function createProgress(out: NodeJS.WriteStream = process.stderr): Progress {
  let lastMessage = '';
  let lastTime = 0;
  let drawn = false;
  let rate = new Rate();
  const progress: Progress = {
    update: (message, done, total, speed) => {
      if (message !== lastMessage) rate = new Rate();
      const line = render(message, done, total, done === undefined ? null : (speed ?? rate.add(done)));
      if (out.isTTY) {
        out.write(`\r\x1b[2K${line.slice(0, Math.max(20, (out.columns ?? 100) - 1))}`);
        drawn = true;
      } else if (message !== lastMessage || Date.now() - lastTime > PLAIN_EVERY_MS) {
        out.write(`${line}\n`);
        lastTime = Date.now();
      }
      lastMessage = message;
    },
    end: (message) => {
      if (drawn) out.write('\r\x1b[2K');
      if (message !== undefined) out.write(`${message}\n`);
      drawn = false;
      lastMessage = '';
    },
    warn: (warning) => progress.end(`Warning: ${warning.replaceAll('\n', '\n         ')}`),
  };
  return progress;
}

/** `message  ███████░░░  70 %  700/1000  35/s  9 s left` with what is known of it. `speed`: a number is counts per second. */
export function render(message: string, done?: number, total?: number, speed: Speed | number | null = null): string {
  if (done === undefined || total === undefined || total === 0) return message;
  const own = typeof speed === 'number' ? undefined : speed?.share;
  const share = Math.min(1, own ?? done / total);
  const full = Math.round(share * WIDTH);
  const parts = [
    message,
    '█'.repeat(full) + '░'.repeat(WIDTH - full),
    `${Math.floor(share * 100)} %`,
    `${count(done)}/${count(total)}`,
  ];
  const { text, secondsLeft } = typeof speed === 'number' ? counted(speed, total - done) : (speed ?? UNKNOWN);
  if (text !== '') parts.push(text);
  if (secondsLeft !== null && done < total) parts.push(`${duration(secondsLeft)} left`);
  return parts.join('  ');
}

const UNKNOWN: Speed = { text: '', secondsLeft: null };

function counted(perSecond: number, left: number): Speed {
  if (!(perSecond > 0)) return UNKNOWN;
  const text = `${perSecond >= 10 ? count(Math.round(perSecond)) : perSecond.toFixed(1)}/s`;
  return { text, secondsLeft: left / perSecond };
}

/** `42 s`, `3 min 5 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

function count(n: number): string {
  return n < 1e6 ? String(n) : `${(n / 1e6).toFixed(1)}M`;
}

/** Speed over the last half minute. */
class Rate {
  readonly #seen: { at: number; done: number }[] = [];

  add(done: number): number | null {
    const at = Date.now();
    this.#seen.push({ at, done });
    while (this.#seen.length > 2 && at - (this.#seen[0]?.at ?? at) > 30_000) this.#seen.shift();
    const first = this.#seen[0];
    if (first === undefined || at - first.at < 500) return null;
    return ((done - first.done) * 1000) / (at - first.at);
  }
}
