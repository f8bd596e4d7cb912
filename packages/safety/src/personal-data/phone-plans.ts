import metadata from 'libphonenumber-js/max/metadata';
import { z } from 'zod';

/**
 * The world's numbering plans, from Google's libphonenumber as libphonenumber-js packs them (its METADATA.md tells the
 * places in the arrays). Its own search takes seconds for a long text and gives up where numbers stand close together;
 * these tables answer in a microsecond.
 */
const optional = <T extends z.ZodType>(type: T) => z.union([type, z.literal(0), z.null()]).optional();
const PackedFormat = z.tuple(
  [
    z.string(), // pattern of groups
    z.string(),
    optional(z.array(z.string())),
    optional(z.string()), // national prefix formatting rule
    optional(z.number()), // that rule is optional
  ],
  z.unknown(),
);
const PackedPlan = z.tuple(
  [
    z.string(), // calling code
    optional(z.string()), // international prefix
    z.string(), // pattern of all national numbers
    z.array(z.number()), // possible lengths
    optional(z.array(PackedFormat)),
    optional(z.string()), // national prefix
    optional(z.string()), // national prefix formatting rule
    optional(z.string()), // national prefix for parsing
    optional(z.string()), // what a number with that prefix becomes
    optional(z.number()), // the formatting rule is optional
    optional(z.string()),
    optional(z.array(optional(z.tuple([z.string()], z.unknown())))), // types, each beginning with its pattern
  ],
  z.unknown(),
);
const Packed = z.object({
  country_calling_codes: z.record(z.string(), z.array(z.string())),
  countries: z.record(z.string(), PackedPlan),
  nonGeographic: z.record(z.string(), PackedPlan),
});

interface Plan {
  callingCode: string;
  internationalPrefix: RegExp | null;
  nationalPrefix: string;
  lengths: number[];
  prefixForParsing: RegExp | null;
  transform: string | null;
  formats: Format[];
  general: RegExp;
  types: RegExp[];
}

interface Format {
  /** Least and most digits of each group. */
  groups: [number, number][];
  /** Written with the national prefix, always. */
  prefixed: boolean;
}

const packed = Packed.parse(metadata);
const plans = new Map<string, Plan>();

function plan(id: string): Plan | null {
  const known = plans.get(id);
  if (known !== undefined) return known;
  const raw = packed.countries[id] ?? packed.nonGeographic[id];
  if (raw === undefined) return null;
  const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
  const start = (pattern: string) => new RegExp(`^(?:${pattern})`);
  const [callingCode, idd, pattern, lengths, formats, prefix, , parsing, transform, , , types] = raw;
  const prefixForParsing = parsing || prefix || '';
  // Countries that share a calling code keep their formats with the first of them.
  const main = packed.countries[packed.country_calling_codes[callingCode]?.[0] ?? ''];
  const made: Plan = {
    callingCode,
    internationalPrefix: idd ? start(idd) : null,
    nationalPrefix: prefix || '',
    lengths,
    prefixForParsing: prefixForParsing === '' ? null : start(prefixForParsing),
    transform: transform || null,
    formats: (formats || main?.[4] || []).map(([groups, , , rule, optionalRule]) => ({
      groups: groupLengths(groups),
      prefixed: !/^\(?\$1\)?$/.test(rule || main?.[6] || '$1') && !optionalRule && !main?.[9],
    })),
    general: whole(pattern),
    types: (types || []).flatMap((type) => (type && type[0] !== '' ? [whole(type[0])] : [])),
  };
  plans.set(id, made);
  return made;
}

/** `(\d{2})(\d{3,13})` → [[2, 2], [3, 13]]. */
function groupLengths(pattern: string): [number, number][] {
  return [...pattern.matchAll(/\(((?:[^()]|\([^()]*\))*)\)/g)].map(([, group = '']) => {
    const digits = /\\d(?:\{(\d+)(?:,(\d+))?\})?$/.exec(group);
    const fixed = group
      .replace(/\\d(\{[\d,]+\})?$/, '')
      .replace(/\[[^\]]*\]/g, 'x')
      .replaceAll('\\d', 'x');
    const least = Number(digits?.[1] ?? (digits === null ? 0 : 1));
    return [fixed.length + least, fixed.length + Number(digits?.[2] ?? least)];
  });
}

/** All that share a calling code, e.g. `1`: US, CA, JM … */
function plansOf(callingCode: string): Plan[] {
  const ids = packed.country_calling_codes[callingCode] ?? [callingCode];
  return ids.flatMap((id) => plan(id) ?? []);
}

function isValid(national: string, callingCode: string): boolean {
  return plansOf(callingCode).some(
    (p) => p.general.test(national) && (p.types.length === 0 || p.types.some((type) => type.test(national))),
  );
}

/** The national number that these digits stand for once a national prefix is taken off, or as they are. */
function candidates(digits: string, p: Plan): string[] {
  const match = p.prefixForParsing?.exec(digits);
  if (match == null) return [digits];
  const captured = match.length > 1 && match.at(-1) !== undefined;
  const without =
    p.transform !== null && captured && p.prefixForParsing !== null
      ? digits.replace(p.prefixForParsing, p.transform)
      : digits.slice(match[0].length);
  return [digits, without];
}

/** True if the digits after a `+` are a number somebody can have. A national prefix between, as in `44 (0)20`, is allowed. */
export function isInternational(digits: string): boolean {
  for (let length = 1; length <= 3; length++) {
    const callingCode = digits.slice(0, length);
    const [main] = plansOf(callingCode);
    if (main === undefined) continue;
    return candidates(digits.slice(length), main).some((national) => isValid(national, callingCode));
  }
  return false;
}

/**
 * True if digits after a `+` have a calling code and a length that its plan knows. Weaker than `isInternational`: areas that no
 * plan has yet, and numbers with a digit read wrong, are still somebody's to whoever sees them.
 */
export function isLikeInternational(digits: string): boolean {
  for (let length = 1; length <= 3; length++) {
    const own = plansOf(digits.slice(0, length));
    if (own.length > 0) return own.some((p) => p.lengths.includes(digits.length - length));
  }
  return false;
}

export interface Region {
  /** Numbers of digits that a national number can have, its prefix counted or not. Asked first: it is quick. */
  lengths: ReadonlySet<number>;
  /** Lengths of the first group of a number as it is written. */
  firstLengths: ReadonlySet<number>;
  /** `''` where numbers are dialled as they are. */
  nationalPrefix: string;
  isNational(digits: string): boolean;
  /** True if the digits begin with the way out of the country (or `00`) and go on with a whole number. */
  isDialledAbroad(digits: string): boolean;
  /** True if numbers of this country are written in groups of these lengths, with the national prefix where it belongs. */
  isFormat(groups: readonly string[]): boolean;
}

/** The plan of a country, e.g. `DE`. @throws Error if there is no such country. */
export function region(country: string): Region {
  const p = plan(country);
  if (p === null || !/^[A-Z]{2}$/.test(country)) throw new Error(`no such country: '${country}'`);
  const fits = (lengths: number[], withPrefix: boolean) =>
    p.formats.some(
      ({ groups, prefixed }) =>
        (withPrefix || !prefixed) &&
        groups.length === lengths.length &&
        groups.every(([least, most], i) => (lengths[i] ?? 0) >= least && (lengths[i] ?? 0) <= most),
    );
  const outs = [p.internationalPrefix, /^00/].filter((prefix) => prefix !== null);
  // What is taken off a number to parse it is at most a handful of digits: prefixes, carriers' codes.
  const extra = p.prefixForParsing === null ? 0 : 5;
  const firstLengths = p.formats.flatMap(({ groups: [first] }) =>
    first === undefined ? [] : range(first[0], first[1]),
  );
  return {
    lengths: new Set(p.lengths.flatMap((n) => range(n, n + extra))),
    firstLengths: new Set(
      firstLengths.flatMap((n) => [n, n + p.nationalPrefix.length]).concat(p.nationalPrefix.length),
    ),
    nationalPrefix: p.nationalPrefix,
    isNational: (digits) => candidates(digits, p).some((national) => isValid(national, p.callingCode)),
    isDialledAbroad: (digits) =>
      outs.some((prefix) => {
        const out = prefix.exec(digits)?.[0];
        return out !== undefined && isInternational(digits.slice(out.length));
      }),
    isFormat: (groups) => {
      const lengths = groups.map((g) => g.length);
      if (fits(lengths, false)) return true;
      const [first = '', ...rest] = groups;
      if (p.nationalPrefix === '' || !first.startsWith(p.nationalPrefix)) return false;
      const left = first.length - p.nationalPrefix.length;
      const others = rest.map((g) => g.length);
      return fits(left === 0 ? others : [left, ...others], true);
    },
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
