import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

// A system test because it mounts a small file system, in a namespace of its own (`unshare` of the Debian package util-linux).
test('says that the disk is full, leaves nothing of what did not fit, and goes on when there is room', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-full-'));
  try {
    const program = `
      import { readdir } from 'node:fs/promises';
      import { openBucket } from ${JSON.stringify(join(import.meta.dirname, '../open.ts'))};
      const bucket = await openBucket('file://${folder}');
      const failed = async (call) => { try { await call(); return 'worked'; } catch (error) { return error.name + ': ' + error.message; } };
      await bucket.put('kept/x', Buffer.alloc(1_000_000));
      const report = {
        put: await failed(() => bucket.put('big/put', Buffer.alloc(8_000_000))),
        create: await failed(() => bucket.create('big/create', Buffer.alloc(8_000_000))),
        write: await failed(() => bucket.write('big/write', (async function* () { for (;;) yield Buffer.alloc(100_000); })())),
        concat: await failed(() => bucket.concat('big/concat', Array(9).fill('kept/x'))),
        check: await failed(() => bucket.check()),
        left: await readdir('${folder}/~tmp'),
        found: [],
      };
      await bucket.delete('kept/x');
      report.after = await failed(() => bucket.put('big/put', Buffer.alloc(1_500_000)));
      for await (const { key, bytes } of bucket.list('')) report.found.push([key, bytes]);
      console.log(JSON.stringify(report));
    `;
    const mounted = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" --input-type=module -e "$3"';
    const args = ['--map-root-user', '--mount', 'sh', '-c', mounted, 'sh', folder, process.execPath, program];
    const { stdout } = await promisify(execFile)('unshare', args);
    const full = `BucketUnavailableError: The bucket in ${folder} cannot be used: the disk is full; free some space (ENOSPC).`;
    expect(JSON.parse(stdout)).toEqual({
      put: full,
      create: full,
      write: full,
      concat: full,
      check: 'worked',
      left: [],
      after: 'worked',
      found: [['big/put', 1_500_000]],
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
