/**
 * Checks that packages depend on each other one way only. Run by `npm run lint`; prints what is wrong and ends with 1.
 *
 * - A package imports packages of lower layers, or of its own layer where `LAYERS` allows it, and never in a circle.
 * - What a package imports, `@batchmill/*` or not, its own package.json declares: an image installs one app with
 *   `npm ci -w`, and what is not declared is not in it. What it declares of `@batchmill/*`, it imports.
 * - Relative imports stay inside the package. Tests may import from `test/`, and may use the root's devDependencies.
 * - Product code imports no test and no test support.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the bottom up. `siblings`: packages of this layer may use each other, if it makes no circle. */
export const LAYERS: readonly Layer[] = [
  { packages: ['contract'], siblings: false },
  { packages: ['telemetry'], siblings: false },
  { packages: ['bucket', 'queue', 'config', 'guard'], siblings: false },
  {
    packages: ['files', 'keys', 'batch', 'media', 'engine', 'safety', 'tasks', 'webhooks', 'triggers', 'scaling'],
    siblings: true,
  },
  { packages: ['api', 'worker'], siblings: false },
  { packages: ['cli'], siblings: false },
];

export interface Layer {
  packages: readonly string[];
  siblings: boolean;
}

const SCOPE = '@batchmill/';

interface Package {
  /** Without the scope. */
  name: string;
  /** Absolute. */
  folder: string;
  dependencies: Set<string>;
  devDependencies: Set<string>;
}

interface Import {
  file: string;
  line: number;
  specifier: string;
}

/** Everything that is wrong in the tree at `root`, one sentence each; empty if nothing is. */
export function checkArrows(root: string, layers: readonly Layer[] = LAYERS): string[] {
  const wrong: string[] = [];
  const packages = readPackages(root);
  const rootDev = new Set(Object.keys(readJson(join(root, 'package.json')).devDependencies ?? {}));
  const uses = new Map<string, Set<string>>();
  const layerOf = (name: string) => layers.findIndex((layer) => layer.packages.includes(name));

  for (const own of packages) {
    const used = new Set<string>();
    uses.set(own.name, used);
    if (layerOf(own.name) === -1)
      wrong.push(`${show(root, own.folder)} is in no layer. Add '${own.name}' to LAYERS in tools/check-arrows.ts.`);
    for (const { file, line, specifier } of sourceFiles(own.folder).flatMap(importsOf)) {
      const at = `${show(root, file)}:${line}:`;
      const test = isTest(file);
      if (specifier.startsWith('.')) {
        const target = resolve(dirname(file), specifier);
        const allowed = inside(own.folder, target) || (test && inside(join(root, 'test'), target));
        if (!allowed)
          wrong.push(`${at} '${specifier}' leaves the package. Import what another package exports instead.`);
        else if (!test && isTest(target)) wrong.push(`${at} '${specifier}' is for tests, and this is not one.`);
        continue;
      }
      if (isBuiltin(specifier)) continue;
      const wanted = packageOf(specifier);
      const declared = own.dependencies.has(wanted) || (test && own.devDependencies.has(wanted));
      const ours = wanted.startsWith(SCOPE);
      if (ours && wanted !== SCOPE + own.name) used.add(wanted);
      if (!declared && !(test && !ours && rootDev.has(wanted)) && wanted !== SCOPE + own.name) {
        wrong.push(`${at} '${wanted}' is not in the dependencies of ${show(root, own.folder)}/package.json.`);
      }
      const problem = ours ? arrow(layers, own.name, wanted.slice(SCOPE.length)) : null;
      if (problem !== null) wrong.push(`${at} ${problem}`);
    }
    for (const declared of [...own.dependencies, ...own.devDependencies]) {
      if (declared.startsWith(SCOPE) && !used.has(declared))
        wrong.push(`${show(root, own.folder)}/package.json declares '${declared}', which nothing in it imports.`);
    }
  }
  return [...wrong, ...circles(uses)];
}

/** Why `from` may not import `to`, or `null` if it may. */
function arrow(layers: readonly Layer[], from: string, to: string): string | null {
  if (from === to) return `'${to}' imports itself by name. Use a relative import.`;
  const upper = layers.findIndex((layer) => layer.packages.includes(from));
  const lower = layers.findIndex((layer) => layer.packages.includes(to));
  if (lower === -1) return `there is no package '${to}'.`;
  if (upper === -1 || lower < upper) return null;
  if (lower === upper && layers[upper]?.siblings === true) return null;
  const where =
    lower === upper ? 'is in the same layer, whose packages do not know each other' : 'is in a higher layer';
  return `'${from}' must not import '${to}', which ${where}.`;
}

/** Circles in what packages use, each told once. */
function circles(uses: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const found = new Map<string, string>();
  const done = new Set<string>();
  const visit = (name: string, path: string[]) => {
    const start = path.indexOf(name);
    if (start !== -1) {
      const circle = path.slice(start);
      found.set(circle.toSorted().join(), `Packages use each other in a circle: ${[...circle, name].join(' → ')}.`);
      return;
    }
    if (done.has(name)) return;
    for (const next of uses.get(name) ?? []) visit(next.slice(SCOPE.length), [...path, name]);
    done.add(name);
  };
  for (const name of uses.keys()) visit(name, []);
  return [...found.values()];
}

function readPackages(root: string): Package[] {
  const packages: Package[] = [];
  for (const group of ['packages', 'apps']) {
    const parent = join(root, group);
    if (!existsSync(parent)) continue;
    for (const entry of readdirSync(parent, { withFileTypes: true })) {
      const folder = join(parent, entry.name);
      if (!existsSync(join(folder, 'package.json'))) continue;
      const json = readJson(join(folder, 'package.json'));
      packages.push({
        name: (json.name ?? '').slice(SCOPE.length),
        folder,
        dependencies: new Set(
          Object.keys({ ...json.dependencies, ...json.optionalDependencies, ...json.peerDependencies }),
        ),
        devDependencies: new Set(Object.keys(json.devDependencies ?? {})),
      });
    }
  }
  return packages;
}

interface PackageJson {
  name?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

function readJson(path: string): PackageJson {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes(`${sep}node_modules${sep}`))
    .sort();
}

/**
 * Comments, template literals and strings are passed over; what is left of `from '…'`, `import '…'`, `import('…')` and
 * `import.meta.resolve('…')` is an import, of a value or a type. Templates are taken as a whole: nobody imports in one.
 */
const TOKEN =
  /(?<!\\)\/\*[\s\S]*?\*\/|(?<!\\)\/\/.*|`(?:\\[\s\S]|[^`\\])*`|\b(?:from|import(?:\s*\(|\.meta\.resolve\s*\()?)\s*(['"])(?<specifier>[^'"\n]+)\1|(['"])(?:\\.|(?!\3)[^\\\n])*\3/g;

/** The imports of one file. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const found: Import[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const specifier = match.groups?.specifier;
    if (specifier === undefined) continue;
    found.push({ file, line: text.slice(0, match.index).split('\n').length, specifier });
  }
  return found;
}

/** Tests, and what only tests import: conformance suites and `test-….ts`. */
function isTest(file: string): boolean {
  return /\.test\.ts$|^conformance(-[\w-]+)?\.ts$|^test-[\w-]+\.ts$/.test(basename(file));
}

/** `@scope/name/path` → `@scope/name`, `name/path` → `name`. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier);
}

function inside(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder + sep);
}

function show(root: string, path: string): string {
  return relative(root, path).split(sep).join('/');
}

if (import.meta.main) {
  const wrong = checkArrows(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)));
  for (const line of wrong) process.stderr.write(`${line}\n`);
  if (wrong.length > 0) {
    process.stderr.write(`check-arrows: ${wrong.length} to put right.\n`);
    process.exitCode = 1;
  }
}
