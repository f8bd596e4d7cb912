import { afterAll, beforeAll, expect, test } from 'vitest';
import { heldOutRates } from '../../bench/demo-model.ts';
import { type DemoService, startDemoService } from '../../bench/demo-service.ts';

/**
 * The model that ships, through the whole product: what it reads, hears and answers is as right as its card says, with some
 * room, since processors round differently. A picture turned, a channel swapped, a recording at the wrong speed or a
 * prompt in another form would make it read and hear next to nothing.
 */
let service: DemoService;
beforeAll(async () => {
  service = await startDemoService();
});
afterAll(() => service?.stop());

test('reads, hears and follows what it never saw about as well as its card says', async () => {
  const rates = await heldOutRates(service, { quick: false });
  expect(rates.cer_line).toBeLessThan(0.35);
  expect(rates.wer).toBeLessThan(0.75);
  expect(rates.instructions_exact).toBeGreaterThan(0.8);
});
