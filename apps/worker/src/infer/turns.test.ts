import { expect, test } from 'vitest';
import { claim } from './test-batch.ts';
import { Turns } from './turns.ts';

const never = new AbortController().signal;

test('tenants take turns, and within a batch it is first come, first served', async () => {
  const turns = new Turns(1);
  const order: string[] = [];
  const first = await turns.take(claim('a'), never);
  const waiting = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map(async (name) => {
    const done = await turns.take(claim(name[0] ?? ''), never);
    order.push(name);
    done();
  });
  first();
  await Promise.all(waiting);
  expect(order).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
});

test('at most the limit at a time; a turn given back twice counts once', async () => {
  const turns = new Turns(2);
  const one = await turns.take(claim('a'), never);
  await turns.take(claim('a'), never);
  let third = false;
  let fourth = false;
  void turns.take(claim('a'), never).then(() => {
    third = true;
  });
  void turns.take(claim('a'), never).then(() => {
    fourth = true;
  });
  one();
  one();
  await new Promise(setImmediate);
  expect({ third, fourth }).toEqual({ third: true, fourth: false });
});

test('who is not wanted any more leaves the queue with the reason', async () => {
  const turns = new Turns(1);
  const done = await turns.take(claim('a'), never);
  const controller = new AbortController();
  const waiting = turns.take(claim('b'), controller.signal);
  controller.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow('cancelled');
  expect(() => turns.take(claim('b'), controller.signal)).toThrow('cancelled');
  done();
  await expect(turns.take(claim('c'), never)).resolves.toBeTypeOf('function');
});
