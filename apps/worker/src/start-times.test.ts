import { expect, it } from 'vitest';
import { StartTimes } from './start-times.ts';

it('says what each step of a start took, and not what a restart did', () => {
  let now = 0;
  const took = new StartTimes(() => now);
  now = 4_000;
  took.end('model_files');
  now = 5_500;
  took.end('load');
  now = 5_750;
  took.end('warm_up');
  expect(took.seconds()).toEqual({ model_files: 4, load: 1.5, warm_up: 0.25, total: 5.75 });
  now = 60_000;
  took.end('load');
  expect(took.seconds()).toEqual({ model_files: 4, load: 1.5, warm_up: 0.25, total: 5.75 });
  expect(took.withFirstItem()).toEqual({ model_files: 4, load: 1.5, warm_up: 0.25, first_item: 54.25, total: 60 });
});
