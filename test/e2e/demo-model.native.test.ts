import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { hearRecording, readPages } from '../../bench/accuracy.ts';
import { heldOutRates } from '../../bench/demo-model.ts';
import { type DemoService, startDemoService } from '../../bench/demo-service.ts';
import { characterErrorRate, wordErrorRate } from '../../bench/error-rates.ts';

/**
 * The model that ships, through the whole product: what it reads, hears and answers is as right as its card says, with some
 * room, since processors round differently. A picture turned, a channel swapped, a recording at the wrong speed or a
 * prompt in another form would make it read and hear next to nothing.
 */
const Answer = z.object({ choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1) });
const contentOf = (body: unknown) => Answer.parse(body).choices[0]?.message.content ?? '';

let service: DemoService;
beforeAll(async () => {
  service = await startDemoService({ THREADS: '1' });
});
afterAll(() => service?.stop());

// On one thread, beside other tests.
test('reads, hears and follows what it never saw about as well as its card says', { timeout: 240_000 }, async () => {
  const rates = await heldOutRates(service, { quick: false });
  expect(rates.cer_line).toBeLessThan(0.05);
  expect(rates.cer_page).toBeLessThan(0.45);
  expect(rates.wer).toBeLessThan(0.08);
  expect(rates.instructions_exact).toBeGreaterThan(0.94);
});

test('a PDF is read line by line, and a call by two people sentence by sentence', { timeout: 240_000 }, async () => {
  // Of pages that are cut and joined in another order, half or more would be wrong.
  expect(await readPages(service, 2)).toBeLessThan(0.05);
  expect(await hearRecording(service, 'call')).toBeLessThan(0.2);
});

test('the example that the demo runs is read and heard recognisably', async () => {
  const path = fileURLToPath(new URL('../../examples/mixed.jsonl', import.meta.url));
  const asks = (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ custom_id: id, body }) => ({ id, body }));
  const answers = await service.answers('/v1/chat/completions', asks);
  const said = (id: string) => JSON.stringify(answers.get(id));
  // As written in tools/examples/make.ts. The model reads and hears both without a mistake.
  const read = { expected: 'Corner Bakery 20.40', got: contentOf(answers.get('image')) };
  const heard = { expected: 'the teacher opened the green door on Friday', got: contentOf(answers.get('audio')) };
  expect(characterErrorRate([read]), said('image')).toBeLessThan(0.11);
  expect(wordErrorRate([heard]), said('audio')).toBeLessThan(0.2);
  expect(contentOf(answers.get('sentiment'))).toBe('positive');
  expect(contentOf(answers.get('safety'))).toContain('Safety: Unsafe');
  expect(contentOf(answers.get('unknown'))).toContain('I only know');
});
