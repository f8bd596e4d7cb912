import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { moderations } from './index.ts';

/** A real server that answers as a test says. */
let answer: (input: string[], request: IncomingMessage, response: ServerResponse) => unknown;
let asked: string[][];
let url: string;
const server = createServer(async (request, response) => {
  // A connection that is kept would be one that the test before has closed.
  response.setHeader('connection', 'close');
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { input } = JSON.parse(Buffer.concat(chunks).toString());
  asked.push(input);
  const body = await answer(input, request, response);
  if (body !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
});
beforeEach(async () => {
  asked = [];
  if (!server.listening) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/v1/moderations`;
});
afterEach(() => server.closeAllConnections());

const scores = (of: (text: string) => Record<string, number>) => (input: string[]) => ({
  results: input.map((text) => ({ category_scores: { 'sexual/minors': 0, hate: 0, ...of(text) } })),
});
const context = {
  tenant: 't',
  batchId: 'b',
  customId: 'c',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};
const inspect = (texts: string[], more = {}) =>
  moderations({ url, key: 'sk', pausesMs: [1, 1], ...more }).inspect(
    texts.map((text, i) => ({ id: `${i}`, text })),
    context,
  );

describe('moderations', () => {
  it('maps categories and scores, several texts in one request', async () => {
    answer = (input, request) => {
      expect(request.headers.authorization).toBe('Bearer sk');
      return scores((text) => (text === 'bad' ? { hate: 0.9, 'illicit/violent': 0.4 } : { hate: 0.01 }))(input);
    };
    expect(await inspect(['good', 'bad'])).toEqual([
      [],
      [
        { category: 'hate', severity: 6, score: 0.9, label: 'hate', spans: [] },
        { category: 'violence', severity: 2, score: 0.4, label: 'violence', spans: [] },
      ],
    ]);
    expect(asked).toEqual([['good', 'bad']]);
  });

  it('judges a long text in windows, and says in which it was', async () => {
    const text = `${'fine words '.repeat(3_000)}BAD ${'fine words '.repeat(3_000)}`;
    answer = scores((part) => (part.includes('BAD') ? { hate: 0.7 } : {}));
    const [[found] = []] = await inspect([text]);
    expect(found?.spans).toHaveLength(1);
    const [span] = found?.spans ?? [];
    expect(text.slice(span?.start, span?.end)).toContain('BAD');
    expect((span?.end ?? 0) - (span?.start ?? 0)).toBeLessThan(text.length / 2);
  });

  it('tries again what may pass, and gives up on what will not', async () => {
    let calls = 0;
    answer = (input, _, response) => {
      if (++calls < 3) return void response.writeHead(calls === 1 ? 429 : 503).end();
      return scores(() => ({}))(input);
    };
    expect(await inspect(['a'])).toEqual([[]]);
    calls = 0;
    answer = (_, __, response) => {
      calls++;
      response.writeHead(401).end('the text you sent was: a');
    };
    await expect(inspect(['a'])).rejects.toThrow(/status 401$/);
    expect(calls).toBe(1);
  });

  it.each([
    ['no JSON', (_: string[], __: IncomingMessage, response: ServerResponse) => void response.end('oops')],
    ['too few results', () => ({ results: [] })],
    ['no scores of any category', () => ({ results: [{ category_scores: {} }] })],
    ['categories of another kind', () => ({ results: [{ category_scores: { toxic: 0.1 } }] })],
    [
      'more results than texts',
      () => ({ results: [{ category_scores: { hate: 0 } }, { category_scores: { hate: 0 } }] }),
    ],
    ['scores that are none', () => ({ results: [{ category_scores: { hate: 7 } }] })],
    [
      'a redirect',
      (_: string[], __: IncomingMessage, response: ServerResponse) =>
        void response.writeHead(302, { location: '/' }).end(),
    ],
    ['silence', () => undefined],
  ])('throws on %s', async (_, gives) => {
    answer = gives;
    await expect(inspect(['a'], { timeoutMs: 150, pausesMs: [] })).rejects.toThrow();
  });

  it('stops asking an endpoint that keeps failing, and asks again later', async () => {
    answer = (_, __, response) => void response.writeHead(500).end();
    const filter = moderations({ url, pausesMs: [], failures: 3, openMs: 100 });
    const once = () => filter.inspect([{ id: 'a', text: 'a' }], context);
    for (let i = 0; i < 3; i++) await expect(once()).rejects.toThrow('500');
    await expect(once()).rejects.toThrow(/not asked for a while/);
    expect(asked).toHaveLength(3);
    answer = scores(() => ({}));
    await expect.poll(once, { timeout: 2_000 }).toEqual([[]]);
  });

  it('takes what the endpoint calls a hit for one, whatever the score', async () => {
    answer = () => ({
      results: [
        { categories: { 'sexual/minors': true, hate: false }, category_scores: { 'sexual/minors': 0.05, hate: 0.2 } },
      ],
    });
    expect(await inspect(['a'])).toMatchObject([
      [
        { category: 'hate', severity: 1, score: 0.2 },
        { category: 'sexual_minors', severity: 4, score: 0.05 },
      ],
    ]);
  });

  it('asks about many texts in several requests, a few at once, and keeps their order', async () => {
    let now = 0;
    let most = 0;
    answer = async (input, _, response) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 20));
      now--;
      const body = scores((text) => (text.endsWith('7') ? { hate: 0.9 } : {}))(input);
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    };
    const texts = Array.from({ length: 500 }, (_, i) => `text ${i}`);
    const found = await inspect(texts);
    expect(found.map((one) => one.length)).toEqual(texts.map((text) => (text.endsWith('7') ? 1 : 0)));
    expect(asked).toHaveLength(16);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('does not send what is empty', async () => {
    answer = scores(() => ({ hate: 0.9 }));
    expect(await inspect(['', 'a', ' \n'])).toMatchObject([[], [{ category: 'hate' }], []]);
    expect(asked).toEqual([['a']]);
  });

  it('waits as long as it is told to', async () => {
    let calls = 0;
    answer = (input, _, response) => {
      if (++calls === 1) return void response.writeHead(429, { 'retry-after': '1' }).end();
      return scores(() => ({}))(input);
    };
    const before = performance.now();
    await inspect(['a']);
    expect(performance.now() - before).toBeGreaterThan(950);
  });

  it('stops when the item is stopped, waiting or asking, and does not hold it against the endpoint', async () => {
    const filter = moderations({ url, pausesMs: [60_000], failures: 4 });
    const stopped = async () => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 100);
      await expect(filter.inspect([{ id: 'a', text: 'a' }], { ...context, signal: stop.signal })).rejects.toThrow();
    };
    answer = () => undefined;
    for (let i = 0; i < 4; i++) await stopped();
    answer = scores(() => ({}));
    expect(await filter.inspect([{ id: 'a', text: 'a' }], context)).toEqual([[]]);
    answer = (_, __, response) => void response.writeHead(503).end();
    await stopped();
  });

  it('a text that is refused does not keep others from being asked about', async () => {
    const filter = moderations({ url, pausesMs: [], failures: 2 });
    const one = (text: string) => filter.inspect([{ id: 'a', text }], context);
    answer = (_, __, response) => void response.writeHead(400).end();
    for (let i = 0; i < 4; i++) await expect(one('odd')).rejects.toThrow(/status 400$/);
    answer = scores(() => ({}));
    expect(await one('fine')).toEqual([[]]);
  });
});
