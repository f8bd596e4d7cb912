import { describe, expect, it } from 'vitest';
import { Activity } from './activity.ts';

describe('Activity', () => {
  it('counts the time without work from the start, and from the end of the last work', () => {
    let now = 1_000;
    const activity = new Activity(() => now);
    now += 500;
    expect(activity.idleMs()).toBe(500);
    const first = activity.begin();
    const second = activity.begin();
    now += 5_000;
    first();
    expect(activity.idleMs()).toBe(0);
    second();
    now += 70;
    expect(activity.idleMs()).toBe(70);
  });

  it('is not misled by work that is ended twice', () => {
    let now = 0;
    const activity = new Activity(() => now);
    const first = activity.begin();
    const second = activity.begin();
    first();
    first();
    now = 10;
    expect(activity.idleMs()).toBe(0);
    second();
    now = 15;
    expect(activity.idleMs()).toBe(5);
  });
});
