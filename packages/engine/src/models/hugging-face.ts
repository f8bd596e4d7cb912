import { z } from 'zod';
import { EngineError } from '../port.ts';
import { get, httpFile, labelOf, type RemoteFile } from './remote.ts';

export interface HuggingFaceSource {
  /** `owner/name`. */
  repository: string;
  /** A file of the repository, or null to choose by `quantization`. */
  file: string | null;
  /** E.g. `Q4_0`, or `mmproj` for the projector; null for the usual choice. */
  quantization: string | null;
}

/** Entries of `GET /api/models/{repository}/tree/{revision}` (huggingface.co/docs/hub/api). LFS ids are SHA-256. */
const treeSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.number().optional(),
    lfs: z.object({ oid: z.string(), size: z.number() }).optional(),
  }),
);
type Entry = z.infer<typeof treeSchema>[number];

/** What is taken when no quantization is asked for: the best that is small, then the smallest loss. */
const USUAL = ['Q4_K_M', 'Q4_0', 'Q4_K_S', 'Q5_K_M', 'Q8_0', 'BF16', 'F16', 'F32'];

/** `hf:owner/repo`, `hf:owner/repo:Q4_0`, `hf:owner/repo/folder/file.gguf`. @throws EngineError `model_unusable`. */
export function parseHuggingFace(source: string): HuggingFaceSource {
  const match = /^hf:([\w.-]+\/[\w.-]+)(?::([\w.-]+)|\/(.+\.gguf))?$/i.exec(source);
  if (match === null) {
    throw new EngineError(
      'model_unusable',
      `${source} is not understood: write hf:owner/repo, hf:owner/repo:Q4_0 or hf:owner/repo/file.gguf`,
    );
  }
  return { repository: match[1] ?? '', quantization: match[2] ?? null, file: match[3] ?? null };
}

/**
 * The files of a Hugging Face source, several when the model is split; the first is the one to load.
 * @param endpoint `https://huggingface.co` or a mirror.
 */
export async function huggingFaceFiles(
  source: HuggingFaceSource,
  endpoint: string,
  token: string | null,
  signal: AbortSignal,
): Promise<RemoteFile[]> {
  const base = endpoint.replace(/\/+$/, '');
  const entries = await listFiles(
    new URL(`${base}/api/models/${source.repository}/tree/main?recursive=true`),
    token,
    signal,
  );
  const ggufs = entries.filter((entry) => entry.type === 'file' && entry.path.toLowerCase().endsWith('.gguf'));
  const chosen = source.file === null ? choose(ggufs, source) : ggufs.find((entry) => entry.path === source.file);
  if (chosen === undefined) {
    const names = ggufs.map((entry) => entry.path).join(', ') || 'none';
    throw new EngineError('model_unusable', `${source.repository} has no such GGUF file. It has: ${names}`);
  }
  return withSplits(chosen, ggufs).map((entry) => {
    const path = entry.path.split('/').map(encodeURIComponent).join('/');
    const size = entry.lfs?.size ?? entry.size;
    return httpFile(new URL(`${base}/${source.repository}/resolve/main/${path}`), token, {
      ...(size === undefined ? {} : { size }),
      ...(entry.lfs === undefined ? {} : { sha256: entry.lfs.oid }),
    });
  });
}

async function listFiles(first: URL, token: string | null, signal: AbortSignal): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let url: URL | null = first; url !== null; ) {
    const response = await get(url, {}, token, signal);
    const page = treeSchema.safeParse(await response.json().catch(() => null));
    if (!page.success) throw new EngineError('model_unusable', `${labelOf(url)} did not answer with a list of files`);
    entries.push(...page.data);
    // Long lists come in pages, the next one named by a Link header (RFC 8288).
    const next: string | undefined = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    url = next === undefined ? null : new URL(next, url);
  }
  return entries;
}

function choose(ggufs: Entry[], source: HuggingFaceSource): Entry | undefined {
  const asked = source.quantization?.toLowerCase() ?? null;
  const projector = asked?.startsWith('mmproj') ?? false;
  // Of a split model only the first file can be loaded, and it names the others.
  const candidates = ggufs.filter(
    (entry) => /mmproj/i.test(entry.path) === projector && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(entry.path),
  );
  if (asked !== null && asked !== 'mmproj') return candidates.find((entry) => hasWord(entry.path, asked));
  for (const quantization of projector ? ['BF16', 'F16', 'Q8_0', 'F32'] : USUAL) {
    const found = candidates.find((entry) => hasWord(entry.path, quantization));
    if (found !== undefined) return found;
  }
  return candidates[0];
}

/** `Q4_0` is in `model-Q4_0.gguf` and not in `model-Q4_0_8_8.gguf`. */
function hasWord(path: string, word: string): boolean {
  const literal = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![A-Za-z0-9])${literal}(?![A-Za-z0-9_])`, 'i').test(path);
}

function withSplits(chosen: Entry, ggufs: Entry[]): Entry[] {
  const split = /^(.*-)00001(-of-(\d{5})\.gguf)$/i.exec(chosen.path);
  if (split === null) return [chosen];
  return Array.from({ length: Number(split[3]) }, (_, index) => {
    const path = `${split[1]}${String(index + 1).padStart(5, '0')}${split[2]}`;
    const entry = ggufs.find((candidate) => candidate.path === path);
    if (entry === undefined)
      throw new EngineError('model_unusable', `${path} is missing: the split model is incomplete`);
    return entry;
  });
}
