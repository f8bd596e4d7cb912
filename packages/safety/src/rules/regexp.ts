import { RE2JS, RE2JSException, RE2JSSyntaxException } from 're2js';

/**
 * Regular expressions by re2js, RE2 in JavaScript: an automaton, so the time of a search is bounded by the length of the text
 * times the size of the pattern. Taken over `re2`, whose native part is downloaded or compiled while npm installs, and over
 * `re2-wasm`, last kept in 2021.
 */
const FLAGS = new Set('imsu');

/** As RE2 reads flags: in front of the pattern. A group around it would break `\Q`, which quotes to the end. */
export function withFlags(pattern: string, flags = ''): string {
  const used = [...new Set(flags)].filter((flag) => flag !== 'u').join('');
  return used === '' ? pattern : `(?${used})${pattern}`;
}

/** @throws Error that says what is wrong with the pattern or the flags. */
export function compileRegexp(pattern: string, flags = ''): RE2JS {
  const unknown = [...flags].find((flag) => !FLAGS.has(flag));
  if (unknown !== undefined) throw new Error(`flag '${unknown}' is not one of i, m, s and u`);
  try {
    return RE2JS.compile(withFlags(pattern, flags));
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new Error(reason(error), { cause: error });
  }
}

function reason(error: RE2JSException): string {
  if (!(error instanceof RE2JSSyntaxException)) return error.message;
  const place = error.getPattern() ?? '';
  const why = `${error.getDescription()}${place === '' ? '' : `, at ${place}`}`;
  if (/^\(\?<?[=!]/.test(place)) return `${why}. Look-ahead and look-behind are not in RE2`;
  return /^\\[1-9]/.test(place) ? `${why}. Back-references are not in RE2` : why;
}
