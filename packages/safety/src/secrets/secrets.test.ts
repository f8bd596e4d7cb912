import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { secrets } from './index.ts';

const context = {
  tenant: 't',
  batchId: 'b',
  customId: 'c',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};
async function find(text: string) {
  const [findings = []] = await secrets().inspect([{ id: 'a', text }], context);
  return findings.flatMap((f) => f.spans.map((s) => [f.label, text.slice(s.start, s.end)]));
}
// Put together here, or this file would be found by scanners of repositories.
const token = `ghp_${'aB3dE6gH9jK2'.repeat(3)}`;
const aws = `AKIA${'IOSFODNN7QWERTYU'}`;

describe('secrets', () => {
  it('are found in running text, with their places', async () => {
    expect(await find(`Use ${token} to log in.`)).toEqual([['github_token', token]]);
    expect(await find('See https://jane:s3cr3tpw@db.example.com/x and go on.')).toEqual([
      ['basic_auth', expect.stringContaining('s3cr3tpw')],
    ]);
    const labels = (
      await find(`aws_access_key_id=${aws}\nxoxb-${'1'.repeat(12)}-${'2'.repeat(12)}-${'c'.repeat(24)}`)
    ).map(([label]) => label);
    expect(labels).toContain('slack_token');
  });

  it('include private keys as a whole', async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2_048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const found = await find(`Here it is:\n${privateKey}\nKeep it safe.`);
    expect(found).toHaveLength(1);
    expect(found[0]?.[1]?.length).toBeGreaterThan(1_500);
  });

  it.each([
    'The quick brown fox jumps over the lazy dog.',
    'See https://example.com/a/rather/long/path?with=parameters&and=more and ghp_ is how they begin.',
    `A hash: ${'0123456789abcdef'.repeat(4)}`,
    'file-01a2104fa79884cf271f0f1e75652a30 is in batch_01a2104fa7bd06a2a5f9666cb721eb88.',
  ])('are not seen where there are none: %s', async (text) => {
    expect(await find(text)).toEqual([]);
  });

  it('cost no more than their length, whatever the text', async () => {
    for (const part of ['a', 'AKIA', 'sk-', '-----BEGIN ', 'https://a:', 'ghp_', 'xoxb-1-'])
      await find(part.repeat(Math.ceil(1_000_000 / part.length)));
  });
});
