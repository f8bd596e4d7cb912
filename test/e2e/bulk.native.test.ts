import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { writeCombined } from '../models/combined.ts';
import { Command, runCommand } from '../servers/command.ts';
import { newHome, ServiceProcess } from '../servers/service.ts';
import { clientOf } from './suite.ts';

/** `batchmill ocr` and `batchmill transcribe` as people run them, against a server and with a service of their own. */
const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

const Call = z.object({ duration: z.number(), segments: z.array(z.object({ speaker: z.string() })) });

let work: string;
let scans: string;
let out: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'batchmill-bulk-'));
  scans = join(work, 'scans');
  out = join(work, 'out');
  await mkdir(scans);
});
afterEach(() => rm(work, { recursive: true, force: true }));

/** The random test model would go on for as long as it may. */
const SHORT = ['--max-tokens', '8'];
const text = (path: string) => readFile(join(out, path), 'utf8');
const model = (name: string) => fileURLToPath(new URL(`../../models/test/${name}`, import.meta.url));
const example = (path: string, to: string) => cp(join(EXAMPLES, path), join(scans, to));

describe('against a server', () => {
  let home: string;
  let service: ServiceProcess;
  let client: OpenAI;
  let url: string;
  beforeAll(async () => {
    home = await newHome();
    service = await ServiceProcess.start({
      entry: 'apps/cli/src/main.ts',
      args: ['start'],
      env: {
        BATCHMILL_HOME: home,
        PORT: '0',
        QUEUE_URL: '',
        BUCKET_URL: '',
        MODEL: model('text.gguf'),
        MMPROJ: model('mmproj.gguf'),
        THREADS: '1',
        PART_INTERVAL: '1',
      },
      ready: (printed) => printed.includes('Batchmill is up'),
    });
    url = /(http:\/\/[\d.]+:\d+)\/v1/.exec(service.stdout)?.[1] ?? '';
    client = clientOf(url);
  });
  afterAll(async () => {
    await service?.end();
    await rm(home, { recursive: true, force: true });
  });

  const batches = async () => (await client.batches.list({ limit: 100 })).data.length;
  const ocr = (...more: string[]) => runCommand(['ocr', scans, '--out', out, '--url', url, ...SHORT, ...more]);

  test('a folder of documents: everything readable is written, the rest is said, and a second run redoes nothing', async () => {
    await mkdir(join(scans, '2024'));
    await example('ocr/invoice.pdf', 'invoice.pdf');
    await example('ocr/deliveries.pdf', '2024/deliveries.pdf');
    await example('ocr/letter.jpg', '2024/letter.jpg');
    await writeFile(join(scans, 'damaged.pdf'), '%PDF-1.4\nand then nothing');
    await writeFile(join(scans, 'notes.doc'), 'x');
    const before = await batches();
    const first = await ocr();
    expect(first.stderr).toMatch(/3 of 4 files are done/);
    expect(first.stderr).toMatch(/Passed over: 1\n {2}notes\.doc/);
    expect(first.stderr).toMatch(/Failed: 1\. Incomplete: 0\. Doubtful: 2\.\n {2}damaged\.pdf: \S+/);
    expect(first.code).toBe(1);
    expect(await text('invoice.md')).toMatch(/Invoice 2041[\s\S]*Total 147\.30/);
    expect(await text('2024/deliveries.md')).toMatch(/<!-- page 1 -->[\s\S]*<!-- page 2 -->[\s\S]*<!-- page 3 -->/);
    await text('2024/letter.md');
    const failures = (await text('failures.jsonl')).trimEnd().split('\n');
    expect(failures.slice(0, 2).map((line) => JSON.parse(line))).toEqual([
      { file: 'damaged.pdf', code: 'invalid_document', message: expect.any(String) },
      // The random test model never ends by itself.
      { file: '2024/deliveries.pdf', at: 'page 1', code: 'truncated', message: expect.any(String) },
    ]);
    expect((await readdir(out)).toSorted()).toEqual(['.batchmill', '2024', 'failures.jsonl', 'invoice.md']);
    expect(await batches()).toBe(before + 1);
    // The copies of what is done are gone; those of what failed wait for the next run.
    expect((await client.files.list({ purpose: 'user_data' })).data.map(({ filename }) => filename)).toEqual([
      'damaged.pdf',
    ]);

    const written = (await stat(join(out, 'invoice.md'))).mtimeMs;
    await example('ocr/invoice.pdf', 'damaged.pdf');
    await rm(join(out, '2024', 'letter.md'));
    const second = await ocr();
    expect(second).toMatchObject({ code: 0, stderr: expect.stringMatching(/2 files\.[\s\S]*4 of 4 files are done/) });
    expect(await text('damaged.md')).toBe(await text('invoice.md'));
    await text('2024/letter.md');
    expect((await stat(join(out, 'invoice.md'))).mtimeMs).toBe(written);
    expect(await text('failures.jsonl')).not.toMatch(/damaged/);

    await utimes(join(scans, 'invoice.pdf'), 1, 1);
    expect((await ocr()).stderr).toMatch(/1 file\./);
    const made = await batches();
    expect((await ocr()).stderr).not.toMatch(/batch_/);
    expect(await batches()).toBe(made);
    // Other options make other outputs.
    const pages = await ocr('--pages', '--format', 'json');
    expect(pages.code).toBe(0);
    const page = JSON.parse(await text('2024/deliveries.pages/0003.json'));
    expect(page).toMatchObject({ index: 2, markdown: expect.any(String) });
    expect(await readdir(out)).not.toContain('invoice.md');
  });

  test('stopped while the batch runs: it goes on at the server, and the next run takes it up', async () => {
    for (let i = 0; i < 6; i++) await example('ocr/deliveries.pdf', `${i}.pdf`);
    const before = await batches();
    const command = new Command(['ocr', scans, '--out', out, '--url', url, '--max-tokens', '40']);
    await command.said(/batch_\w+ at http/);
    command.kill('SIGINT');
    expect(await command.ended()).toBe(130);
    expect(command.stderr).toMatch(/goes on at http:[\s\S]*run the same command again/);
    // With other sources on top, what is under way is seen through first.
    await example('ocr/invoice.pdf', 'new.pdf');
    const again = await runCommand(['ocr', scans, '--out', out, '--url', url, '--max-tokens', '40']);
    expect(again.stderr).toMatch(/Going on with batch_[\s\S]*7 of 7 files are done/);
    expect(await batches()).toBe(before + 2);
    expect((await readdir(out)).filter((name) => name.endsWith('.md'))).toHaveLength(7);
  });

  test('killed while the batch runs: nothing is lost either', async () => {
    await example('ocr/deliveries.pdf', 'a.pdf');
    const before = await batches();
    const command = new Command(['ocr', scans, '--out', out, '--url', url, ...SHORT]);
    await command.said(/batch_\w+ at http/);
    command.kill('SIGKILL');
    await command.ended();
    expect(await ocr()).toMatchObject({ code: 0, stderr: expect.stringMatching(/1 of 1 files are done/) });
    expect(await batches()).toBe(before + 1);
  });

  test('a folder of recordings to subtitles, and a call with a name for each channel', async () => {
    await example('audio/sentence.ogg', 'sentence.ogg');
    await writeFile(join(scans, 'noise.mp3'), 'no recording at all');
    const run = await runCommand(['transcribe', scans, '--format', 'srt', '--out', out, '--url', url, ...SHORT]);
    expect(run.stderr).toMatch(/1 of 2 files are done[\s\S]*noise\.mp3: /);
    expect(run.code).toBe(1);
    await text('sentence.srt');
    const calls = join(work, 'calls');
    await mkdir(calls);
    await cp(join(EXAMPLES, 'audio/call.ogg'), join(calls, 'call.ogg'));
    const call = await runCommand(
      [
        'transcribe',
        calls,
        '--format',
        'json',
        '--labels',
        'agent,customer',
        '--out',
        join(work, 'calls-out'),
        ...SHORT,
      ],
      { BATCHMILL_URL: url },
    );
    expect(call).toMatchObject({ code: 0 });
    const answer = Call.parse(JSON.parse(await readFile(join(work, 'calls-out', 'call.json'), 'utf8')));
    expect(answer.duration).toBeGreaterThan(20);
    expect(new Set(answer.segments.map(({ speaker }) => speaker))).toEqual(new Set(['agent', 'customer']));
  });

  test('extraction by a schema lies beside the text, in a folder that is for this command alone', async () => {
    await example('ocr/invoice.pdf', 'invoice.pdf');
    const schema = join(work, 'kind.json');
    await writeFile(
      schema,
      JSON.stringify({
        type: 'object',
        properties: { paid: { type: 'boolean' } },
        required: ['paid'],
        additionalProperties: false,
      }),
    );
    const run = await runCommand(['ocr', scans, '--out', out, '--url', url, '--annotate', schema]);
    expect(run).toMatchObject({ code: 0 });
    expect(JSON.parse(await text('invoice.annotation.json'))).toEqual({ paid: expect.any(Boolean) });
    const other = await runCommand(['transcribe', join(EXAMPLES, 'audio'), '--out', out, '--url', url]);
    expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/holds what 'batchmill ocr' made/) });
  });

  test('an S3 store that is not there is said in plain words', async () => {
    const none = await runCommand(['ocr', 's3://nobody-has-this/x', '--out', out, '--url', url], {
      AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
    });
    expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/nothing listens at the endpoint/) });
  });

  test('a server that is not there is said in plain words', async () => {
    await example('ocr/invoice.pdf', 'invoice.pdf');
    const gone = await runCommand(['ocr', scans, '--out', join(work, 'x'), '--url', 'http://127.0.0.1:9']);
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringMatching(/does not answer/) });
  });
});

describe('without a server', () => {
  test('a service of its own reads a document and leaves nothing behind but what it made of the model file', async () => {
    await example('ocr/invoice.pdf', 'invoice.pdf');
    const combined = join(work, 'combined.gguf');
    await writeCombined(combined, 'llama.cpp');
    const run = await runCommand(['ocr', scans, '--out', out, '--text-layer', 'only'], {
      MODEL: combined,
      XDG_CACHE_HOME: join(work, 'cache'),
    });
    expect(run).toMatchObject({ code: 0, stderr: expect.stringMatching(/1 of 1 files are done/) });
    expect(await text('invoice.md')).toMatch(/Invoice 2041/);
    expect(await readdir(join(out, '.batchmill'))).toEqual(['state.json']);
    expect(await readdir(join(work, 'cache', 'batchmill', 'models', 'split'))).toEqual([
      expect.stringMatching(/^combined-/),
    ]);
  });

  test('stopped on Ctrl-C, it goes on where it was', async () => {
    for (let i = 0; i < 4; i++) await example('ocr/deliveries.pdf', `${i}.pdf`);
    const args = ['ocr', scans, '--out', out, '--max-tokens', '60'];
    const command = new Command(args, { PART_INTERVAL: '1' });
    await command.said(/batch_\w+: 4 files/);
    const id = /batch_\w+/.exec(command.stderr)?.[0];
    await command.said(/in progress/);
    command.kill('SIGINT');
    expect(await command.ended()).toBe(130);
    expect(command.stderr).toMatch(/Run the same command again to go on/);
    const again = await runCommand(args);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringMatching(/4 of 4 files are done/) });
    expect(again.stderr).toContain(`Going on with ${id}.`);
    expect(await readdir(join(out, '.batchmill'))).toEqual(['state.json']);
  });
});
