import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import type { Filter, Finding, Span } from '../port.ts';

/** A secret has so many characters of these in a row, or is a password in an address, or a key in PEM. */
const LONG = 20;
const OF_SECRETS = new Uint8Array(128);
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/+=.-') OF_SECRETS[c.charCodeAt(0)] = 1;

/** What stands around a secret says what it is: so much before and behind is looked at with it. */
const BEFORE = 300;
const BEHIND = 6_000;

/** Where a closer look is worth it; the places of prose that are not looked at are nearly all of it. */
function areasOf(text: string): Span[] {
  const places: number[] = [];
  for (const head of ['://', '-----BEGIN'])
    for (let at = text.indexOf(head); at !== -1; at = text.indexOf(head, at + BEHIND / 2)) places.push(at);
  // Every twentieth character, and backwards from there.
  for (let at = LONG - 1; at < text.length; ) {
    let back = at;
    while (back > at - LONG && OF_SECRETS[text.charCodeAt(back)] === 1) back--;
    if (back === at - LONG) {
      places.push(at);
      at += BEHIND / 2;
    } else at = back + LONG;
  }
  const areas: Span[] = [];
  for (const place of places.sort((x, y) => x - y)) {
    const area = { start: Math.max(0, place - BEFORE), end: Math.min(text.length, place + BEHIND) };
    const last = areas.at(-1);
    if (last !== undefined && area.start <= last.end) last.end = area.end;
    else areas.push(area);
  }
  return areas;
}

/**
 * API keys, access tokens, private keys and passwords in addresses, by the rules of secretlint's recommended preset
 * (https://github.com/secretlint/secretlint). Category `secrets`, severity 6; labels are the rules' names: `github_token`.
 */
export function secrets(): Filter {
  return {
    name: 'secrets',
    version: '1',
    categories: ['secrets'],
    exact: true,
    inspect: (segments) => Promise.all(segments.map(({ text }) => findSecrets(text))),
  };
}

async function findSecrets(text: string): Promise<Finding[]> {
  const spans = new Map<string, Span[]>();
  for (const area of areasOf(text)) {
    const { messages } = await lintSource({
      source: { filePath: 'answer', content: text.slice(area.start, area.end), contentType: 'text', ext: '' },
      options: { config: { rules: [{ id: PRESET, rule: creator, options: {} }] }, noPhysicFilePath: true },
    });
    for (const { messageId, range } of messages) {
      const [start, end] = range.map((at) => at + area.start);
      if (start === undefined || end === undefined || start >= end || end > text.length) continue;
      const label = labelOf(messageId);
      const found = spans.get(label) ?? [];
      found.push({ start, end });
      spans.set(label, found);
    }
  }
  return [...spans].map(([label, found]) => ({
    category: 'secrets',
    severity: 6,
    score: 1,
    label,
    spans: apart(found),
  }));
}

const PRESET = '@secretlint/secretlint-rule-preset-recommend';

/** `GITHUB_TOKEN`, `BasicAuth` → `github_token`, `basic_auth` */
function labelOf(messageId: string): string {
  const words = messageId.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  return words.replaceAll(/[^a-z0-9]+/g, '_').slice(0, 40) || 'secret';
}

/** In order, without overlaps: two rules may find the same. */
function apart(spans: Span[]): Span[] {
  const kept: Span[] = [];
  for (const span of spans.sort((a, b) => a.start - b.start)) {
    const last = kept.at(-1);
    if (last !== undefined && span.start < last.end) last.end = Math.max(last.end, span.end);
    else kept.push({ ...span });
  }
  return kept;
}
