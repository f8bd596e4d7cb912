import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../servers/command.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { newHome, ServiceProcess } from '../servers/service.ts';

/** `batchmill ocr s3://…`: the workers read the objects themselves, if they may. */
const INVOICE = fileURLToPath(new URL('../../examples/ocr/invoice.pdf', import.meta.url));

let s3: S3Server;
let work: string;
let base: string;
let env: Record<string, string>;
beforeAll(async () => {
  s3 = await startS3();
  work = await mkdtemp(join(tmpdir(), 'batchmill-bulk-s3-'));
  env = { ...s3.env, AWS_ENDPOINT_URL_S3: s3.endpoint };
  const Bucket = new URL(s3.url).hostname;
  base = `s3://${Bucket}/scans`;
  const credentials = {
    accessKeyId: s3.env.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: s3.env.AWS_SECRET_ACCESS_KEY ?? '',
  };
  const client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  const Body = await readFile(INVOICE);
  for (const Key of ['scans/a.pdf', 'scans/2024/b (1) ä.pdf', 'scans-old/c.pdf', 'scans/notes.txt'])
    await client.send(new PutObjectCommand({ Bucket, Key, Body }));
  client.destroy();
});
afterAll(async () => {
  await s3?.stop();
  await rm(work, { recursive: true, force: true });
});

test('a service of its own may read the prefix: nothing is uploaded, and the second run finds all done', async () => {
  const out = join(work, 'own');
  const run = () => runCommand(['ocr', base, '--out', out, '--text-layer', 'only'], env);
  const first = await run();
  expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/2 of 2 files are done[\s\S]*notes\.txt/) });
  expect(first.stderr).not.toMatch(/uploading/);
  expect(await readFile(join(out, '2024', 'b (1) ä.md'), 'utf8')).toMatch(/Invoice 2041/);
  expect((await readdir(out)).toSorted()).toEqual(['.batchmill', '2024', 'a.md']);
  expect((await run()).stderr).not.toMatch(/batch_/);
});

test('a server that may not read it: said once in plain words, with the setting', async () => {
  const home = await newHome();
  const service = await ServiceProcess.start({
    entry: 'apps/cli/src/main.ts',
    args: ['start'],
    env: { ...env, BATCHMILL_HOME: home, PORT: '0', QUEUE_URL: '', BUCKET_URL: '', THREADS: '1' },
    ready: (printed) => printed.includes('Batchmill is up'),
  });
  try {
    const url = /(http:\/\/[\d.]+:\d+)\/v1/.exec(service.stdout)?.[1] ?? '';
    const run = await runCommand(['ocr', base, '--out', join(work, 'other'), '--url', url], env);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/0 of 2 files are done/);
    expect(run.stderr.match(/S3_INPUTS=/g)).toHaveLength(1);
  } finally {
    await service.end();
    await rm(home, { recursive: true, force: true });
  }
});
