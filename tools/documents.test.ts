import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCUMENTS = globSync(['*.md', 'docs/**/*.md', 'examples/*.md'], { cwd: ROOT });
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** The anchors GitHub makes of headings. */
function anchors(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.for(DOCUMENTS)('links in %s lead somewhere', (path) => {
  // What stands in code is no link.
  const text = read(path).replaceAll(/`[^`\n]*`/g, '');
  for (const [, link = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
    if (/^https?:/.test(link)) continue;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : normalize(join(dirname(path), file));
    expect(existsSync(join(ROOT, target)), link).toBe(true);
    if (anchor !== undefined) expect(anchors(target), link).toContain(anchor);
  }
});

test.for(DOCUMENTS)('scripts and files named in %s exist', (path) => {
  const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
  const text = read(path);
  for (const [, script] of text.matchAll(
    /npm (?:run )?(test|start|demo|test:\w+|bench|batchmill|lint|typecheck)\b(?!:)/g,
  ))
    expect(scripts).toContain(script);
  for (const [, file = ''] of text.matchAll(/(?<!["'\w/])((?:apps|packages|infra|models|examples|tools)\/[\w./-]+\w)/g))
    expect(existsSync(join(ROOT, file)), file).toBe(true);
});
