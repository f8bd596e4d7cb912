import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ResolveOptions, resolveModel } from './index.ts';

const model = readFileSync(new URL('../../../../models/test/text.gguf', import.meta.url));
const projector = readFileSync(new URL('../../../../models/test/mmproj.gguf', import.meta.url));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const fails = (words: string, code = 'model_unusable') =>
  expect.objectContaining({ code, message: expect.stringContaining(words) });

let directory: string;
let server: Server;
let base: string;
let requests: IncomingMessage[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let options: ResolveOptions;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'models-'));
  requests = [];
  server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  options = { cacheDir: join(directory, 'cache'), retryMs: 1 };
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

/** Bytes of the one unfinished download. */
function received(): number {
  const part = globSync(join(options.cacheDir, '*', '*.part'))[0];
  return part === undefined ? 0 : statSync(part).size;
}

interface Behaviour {
  etag?: string;
  ranges?: boolean;
  /** Cuts the connection after so many bytes, this many times. */
  cut?: { after: number; times: number };
}

/** Serves a file as a file server does, or worse. */
function serve(content: Buffer, behaviour: Behaviour = {}): typeof answer {
  let cuts = behaviour.cut?.times ?? 0;
  const etag = behaviour.etag ?? '"one"';
  return (request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const same = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
    const start = behaviour.ranges !== false && range !== null && same ? Number(range[1]) : 0;
    if (start >= content.length) {
      response.writeHead(416).end();
      return;
    }
    const body = content.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      ...(etag === '' ? {} : { etag }),
      'content-length': body.length,
      ...(start > 0 ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    if (cuts > 0) {
      cuts -= 1;
      // What has been received but not read is lost with the connection: time to read it.
      response.write(body.subarray(0, behaviour.cut?.after), () => setTimeout(() => response.destroy(), 250));
    } else {
      response.end(body);
    }
  };
}

describe('a path', () => {
  it('is taken as it is, also as a file address', async () => {
    const path = join(directory, 'a b.gguf');
    writeFileSync(path, model);
    expect(await resolveModel(path, options)).toBe(path);
    expect(await resolveModel(`file://${directory}/a%20b.gguf`, options)).toBe(path);
    expect(await resolveModel(`${path}#sha256=${sha256(model)}`, options)).toBe(path);
    await expect(resolveModel(path, { ...options, sha256: sha256(projector) })).rejects.toEqual(fails('SHA-256'));
  });
  it('that leads nowhere is told with the other ways', async () => {
    await expect(resolveModel(join(directory, 'none.gguf'), options)).rejects.toEqual(fails('hf:owner/repo'));
  });
});

describe('a download', () => {
  it('is kept: the second time nobody is asked', async () => {
    answer = serve(model);
    const progress: number[] = [];
    const path = await resolveModel(`${base}/m/model.gguf?signature=secret`, {
      ...options,
      onProgress: ({ receivedBytes, totalBytes }) => {
        expect(totalBytes).toBe(model.length);
        progress.push(receivedBytes);
      },
    });
    expect(readFileSync(path)).toEqual(model);
    expect(progress.at(-1)).toBe(model.length);
    expect(await resolveModel(`${base}/m/model.gguf?signature=other`, options)).toBe(path);
    expect(requests).toHaveLength(1);
    expect(readdirSync(dirname(path)).sort()).toEqual(['model.gguf', 'model.json']);
  });

  it('goes on where the connection was cut', async () => {
    answer = serve(model, { cut: { after: 100_000, times: 3 } });
    const path = await resolveModel(`${base}/model.gguf`, options);
    expect(readFileSync(path)).toEqual(model);
    expect(requests.map((request) => request.headers.range)).toEqual([
      undefined,
      'bytes=100000-',
      'bytes=200000-',
      'bytes=300000-',
    ]);
    expect(requests[1]?.headers['if-range']).toBe('"one"');
  });

  it('goes on in another process, after this one gave up', async () => {
    answer = serve(model, { cut: { after: 100_000, times: 1 } });
    const stop = new AbortController();
    const first = resolveModel(`${base}/model.gguf`, { ...options, retryMs: 60_000, signal: stop.signal });
    const refused = expect(first).rejects.toEqual(fails('stopped', 'aborted'));
    await expect.poll(received, { timeout: 10_000 }).toBe(100_000);
    stop.abort();
    await refused;
    expect(readFileSync(await resolveModel(`${base}/model.gguf`, options))).toEqual(model);
    expect(requests.at(-1)?.headers.range).toBe('bytes=100000-');
  });

  it('starts again when the server knows no ranges', async () => {
    answer = serve(model, { ranges: false, cut: { after: 100_000, times: 2 } });
    expect(readFileSync(await resolveModel(`${base}/model.gguf`, options))).toEqual(model);
  });

  it('starts again when there is nothing to tell the file by', async () => {
    answer = serve(model, { etag: '', cut: { after: 100_000, times: 1 } });
    expect(readFileSync(await resolveModel(`${base}/model.gguf`, options))).toEqual(model);
    expect(requests.map((request) => request.headers.range)).toEqual([undefined, undefined]);
  });

  it('starts again when the file changed in between', async () => {
    const old = serve(Buffer.alloc(model.length, 1), { etag: '"old"', cut: { after: 100_000, times: 1 } });
    const fresh = serve(model, { etag: '"new"' });
    answer = (request, response) => (requests.length === 1 ? old : fresh)(request, response);
    expect(readFileSync(await resolveModel(`${base}/model.gguf`, options))).toEqual(model);
    expect(requests).toHaveLength(2);
  });

  it('put together wrongly is fetched once more', async () => {
    // A server that serves another file under the same ETag.
    const old = serve(Buffer.alloc(model.length, 1), { cut: { after: 100_000, times: 1 } });
    const fresh = serve(model);
    answer = (request, response) => (requests.length === 1 ? old : fresh)(request, response);
    const path = await resolveModel(`${base}/model.gguf`, { ...options, sha256: sha256(model) });
    expect(readFileSync(path)).toEqual(model);
    expect(requests).toHaveLength(3);
  });

  it('of the wrong file is refused, and not kept', async () => {
    answer = serve(projector);
    const source = `${base}/model.gguf#sha256=${sha256(model)}`;
    await expect(resolveModel(source, options)).rejects.toEqual(fails('not the file that was meant'));
    expect(requests).toHaveLength(1);
    answer = serve(model);
    expect(readFileSync(await resolveModel(source, options))).toEqual(model);
  });

  it('that is no model is refused', async () => {
    answer = serve(Buffer.from('<!doctype html><title>Please log in</title>'));
    await expect(resolveModel(`${base}/model.gguf`, options)).rejects.toEqual(fails('is not a GGUF'));
  });

  it('outlives a server that is out of order for a while', async () => {
    const good = serve(model);
    answer = (request, response) => {
      if (requests.length > 3) good(request, response);
      else response.writeHead(503, { 'retry-after': '0' }).end();
    };
    expect(readFileSync(await resolveModel(`${base}/model.gguf`, options))).toEqual(model);
  });

  it('gives up on a server that stays out of order, or silent', async () => {
    answer = (_request, response) => response.writeHead(500).end();
    await expect(resolveModel(`${base}/model.gguf`, options)).rejects.toEqual(fails('HTTP 500'));
    answer = () => {};
    await expect(resolveModel(`${base}/model.gguf`, { ...options, stallMs: 20 })).rejects.toEqual(
      fails('no data came'),
    );
  });

  it('does not try again what is refused', async () => {
    answer = (_request, response) => response.writeHead(403).end();
    await expect(resolveModel(`${base}/model.gguf?token=secret`, options)).rejects.toEqual(fails('HF_TOKEN'));
    await expect(resolveModel(`${base}/model.gguf?token=secret`, options)).rejects.not.toThrow('secret');
    expect(requests).toHaveLength(2);
  });

  it('by several at once is done once', async () => {
    answer = serve(model, { cut: { after: 200_000, times: 1 } });
    const paths = await Promise.all(Array.from({ length: 4 }, () => resolveModel(`${base}/model.gguf`, options)));
    expect(new Set(paths).size).toBe(1);
    expect(requests).toHaveLength(2);
  });

  it('goes over plain http nowhere but here', async () => {
    await expect(resolveModel('http://example.com/model.gguf', options)).rejects.toEqual(fails('https only'));
    answer = (_request, response) => response.writeHead(302, { location: 'http://example.com/model.gguf' }).end();
    await expect(resolveModel(`${base}/model.gguf`, options)).rejects.toEqual(fails('https only'));
  });

  it('stays in its folder, whatever its name', async () => {
    answer = serve(model);
    const path = await resolveModel(`${base}/x/..%2f..%2fetc%2fpasswd`, options);
    expect(dirname(dirname(path))).toBe(options.cacheDir);
  });
});

describe('Hugging Face', () => {
  const files = new Map<string, Buffer>([
    ['model-Q4_0.gguf', model],
    ['model-Q8_0.gguf', Buffer.concat([model, Buffer.alloc(32)])],
    ['mmproj-F16.gguf', projector],
    ['big/big-BF16-00001-of-00002.gguf', model],
    ['big/big-BF16-00002-of-00002.gguf', projector],
  ]);
  const hub: typeof answer = (request, response) => {
    const url = new URL(request.url ?? '', base);
    if (request.headers.authorization !== 'Bearer hf_secret') {
      response.writeHead(401).end();
    } else if (url.pathname === '/api/models/o/r/tree/main') {
      // Two pages, as long lists come.
      const entries = [...files].map(([path, content]) => ({
        type: 'file',
        path,
        size: content.length,
        lfs: { oid: sha256(content), size: content.length, pointerSize: 1 },
      }));
      const second = url.searchParams.has('cursor');
      const page = second ? entries.slice(2) : [{ type: 'directory', path: 'big' }, ...entries.slice(0, 2)];
      response.writeHead(200, second ? {} : { link: `<${base}${url.pathname}?cursor=2>; rel="next"` });
      response.end(JSON.stringify(page));
    } else {
      const content = files.get(url.pathname.replace('/o/r/resolve/main/', ''));
      if (content === undefined) response.writeHead(404).end();
      else serve(content)(request, response);
    }
  };
  const resolve = (source: string) =>
    resolveModel(source, { ...options, huggingFaceEndpoint: base, huggingFaceToken: 'hf_secret' });

  it.each([
    ['hf:o/r', 'model-Q4_0.gguf'],
    ['hf:o/r:q8_0', 'model-Q8_0.gguf'],
    ['hf:o/r:mmproj', 'mmproj-F16.gguf'],
    ['hf:o/r/model-Q8_0.gguf', 'model-Q8_0.gguf'],
  ])('%s is %s', async (source, name) => {
    answer = hub;
    const path = await resolve(source);
    expect(path).toMatch(new RegExp(`/${name}$`));
    expect(readFileSync(path)).toEqual(files.get(name));
  });

  it('a split model comes whole', async () => {
    answer = hub;
    const path = await resolve('hf:o/r:BF16');
    expect(readdirSync(dirname(path)).sort()).toEqual([
      'big-BF16-00001-of-00002.gguf',
      'big-BF16-00002-of-00002.gguf',
      'model.json',
    ]);
    expect(path).toMatch(/00001-of-00002\.gguf$/);
  });

  it('says what there is when the wish is not', async () => {
    answer = hub;
    await expect(resolve('hf:o/r:Q2_K')).rejects.toEqual(fails('model-Q4_0.gguf'));
    await expect(resolve('hf:o/r/none.gguf')).rejects.toEqual(fails('model-Q4_0.gguf'));
    await expect(resolve('hf:nonsense')).rejects.toEqual(fails('hf:owner/repo'));
    await expect(resolveModel('hf:o/r', { ...options, huggingFaceEndpoint: base })).rejects.toEqual(fails('HF_TOKEN'));
  });

  it('a file that is not what the hub says is refused', async () => {
    answer = (request, response) => {
      if (request.url?.includes('/resolve/')) serve(Buffer.from(model).fill(7, 5000, 5001))(request, response);
      else hub(request, response);
    };
    await expect(resolve('hf:o/r')).rejects.toEqual(fails('SHA-256'));
  });

  it('the token goes to no other host', async () => {
    const cdn = createServer((request, response) => {
      requests.push(request);
      serve(model)(request, response);
    });
    cdn.listen(0, '127.0.0.1');
    await once(cdn, 'listening');
    const address = cdn.address();
    const port = typeof address === 'object' ? address?.port : 0;
    answer = (request, response) => {
      if (!request.url?.includes('/resolve/')) hub(request, response);
      else response.writeHead(302, { location: `http://127.0.0.1:${port}/blob` }).end();
    };
    try {
      expect(readFileSync(await resolve('hf:o/r'))).toEqual(model);
      expect(requests.at(-1)?.url).toBe('/blob');
      expect(requests.at(-1)?.headers.authorization).toBeUndefined();
      expect(requests.at(-2)?.headers.authorization).toBe('Bearer hf_secret');
    } finally {
      cdn.closeAllConnections();
      cdn.close();
    }
  });
});

describe('an object store', () => {
  it('is read from where the last attempt stopped', async () => {
    const starts: number[] = [];
    const readObject: ResolveOptions['readObject'] = async (url, start) => {
      expect(url).toBe('s3://models/a/model.gguf');
      starts.push(start);
      const first = starts.length === 1;
      async function* body() {
        yield model.subarray(start, first ? 1000 : undefined);
        if (first) throw new Error('connection reset');
      }
      return { size: model.length, etag: '"e"', body: body() };
    };
    const path = await resolveModel('s3://models/a/model.gguf', { ...options, readObject });
    expect(readFileSync(path)).toEqual(model);
    expect(starts).toEqual([0, 1000]);
  });
  it('must be configured', async () => {
    await expect(resolveModel('s3://models/model.gguf', options)).rejects.toEqual(fails('no object store'));
  });
});
