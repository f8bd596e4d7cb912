/**
 * Where everything is in the bucket. No other module spells a key.
 *
 * Every object is written once and never modified, so a key's presence is a fact that stays true. Lists that people
 * page through have a key whose order is the list's order.
 *
 * ```
 * files/<tenant>/<file-id>/meta.json, content
 * index/files/<tenant>/<newest-first>-<file-id>         an empty object; removed with the file
 * index/expires/<unix seconds>/<tenant>/<file-id>       what the sweep deletes, oldest first
 * uploads/<tenant>/<upload-id>/upload.json, parts/<part-id>, ended.json (completed or cancelled)
 * batches/<tenant>/<batch-id>/…                         see the functions below
 * index/open/<batch-id>/<tenant>                        an empty object; removed when the batch has ended
 * index/ended/<unix seconds>/<tenant>/<batch-id>        ended batches, by when they are cleared of what came late
 * index/batches/<tenant>/<newest-first>-<batch-id>
 * index/held/<tenant>/<key-id>/<batch-id>.…              an empty object: what a batch that has not ended takes of its key's quota, and its input
 * index/deleting/<batch-id>/<tenant>                    what is left to delete of a batch that is being deleted
 * keys/<sha-256 of the key>.json                        API keys; the key itself is never stored
 * secrets/url-signing.key                               what signed URLs of the API are signed with
 * triggers/<tenant>/<trigger-id>/<revision>.json        triggers; the last revision counts
 * index/triggers/<trigger-id>/<tenant>                  an empty object: whose trigger it is; removed when it is deleted
 * windows/<tenant>/<trigger-id>/<window-id>/…           events that become one batch: window.json, inbox/<n>.jsonl, closing
 * ledgers/<tenant>/<trigger-id>/<n>.json                closed windows of a trigger in order, and what each delivered
 * index/windows/<unix seconds>/<tenant>/<trigger-id>/<window-id>  windows that are not closed, by when they must be
 * index/ledgers/<day>/<tenant>/<trigger-id>             triggers that had events on a day: whose rest the sweep deletes
 * audit/<tenant>/<day>/<time>-<writer>-<n>.jsonl       what was masked or withheld, and why; never the content
 * quarantine/<tenant>/<batch-id>/<item>.<time>-<writer>-<n>.age  what was withheld, encrypted to the operator's key
 * speeds/<newest-first>-<writer>-<n>.json               how fast workers were; the oldest are deleted
 * policies/<sha-256>.json                               resolved content policies; batches name theirs
 * hooks/endpoints/<tenant>/<endpoint-id>/<revision>.json  webhook endpoints; the last revision counts
 * hooks/events/<tenant>/<event-id>.json                 what is told
 * hooks/deliveries/<tenant>/<endpoint-id>/<newest-first>-<delivery-id>/delivery.json, attempts/<n>.json, settled.json
 * index/hooks/live/<tenant>/<endpoint-id>               an empty object; removed when the endpoint is deleted
 * index/hooks/due/<tenant>/<endpoint-id>/<lane>/…       deliveries that are not settled, in order
 * index/hooks/kept/<day>/<tenant>/…                     what the sweep deletes, oldest first
 * ```
 */

const MAX_TIME = 2 ** 48 - 1;

/** A segment that sorts newer ids first, made from the time inside the id (contract: `newId`). */
function newestFirst(id: string): string {
  const hex = /[_-]([0-9a-f]{12})[0-9a-f]{20}$/.exec(id)?.[1];
  if (hex === undefined) throw new Error(`not an id: ${id}`);
  return `${(MAX_TIME - Number.parseInt(hex, 16)).toString(16).padStart(12, '0')}-${id}`;
}

const number = (n: number) => String(n).padStart(8, '0');

const deliveryPrefix = (tenant: string, endpoint: string, id: string) =>
  `hooks/deliveries/${tenant}/${endpoint}/${newestFirst(id)}/`;

export const layout = {
  file: {
    meta: (tenant: string, id: string) => `files/${tenant}/${id}/meta.json`,
    content: (tenant: string, id: string) => `files/${tenant}/${id}/content`,
    /** All files of a tenant, oldest first: keys end in `/meta.json` or `/content`. */
    oldestFirst: (tenant: string) => `files/${tenant}/`,
    index: (tenant: string, id: string) => `index/files/${tenant}/${newestFirst(id)}`,
    indexPrefix: (tenant: string) => `index/files/${tenant}/`,
    expires: (seconds: number, tenant: string, id: string) =>
      `index/expires/${String(seconds).padStart(12, '0')}/${tenant}/${id}`,
    expiresPrefix: 'index/expires/',
  },
  upload: {
    upload: (tenant: string, id: string) => `uploads/${tenant}/${id}/upload.json`,
    part: (tenant: string, id: string, part: string) => `uploads/${tenant}/${id}/parts/${part}`,
    parts: (tenant: string, id: string) => `uploads/${tenant}/${id}/parts/`,
    /** Completed or cancelled: one key for both, so that `create` settles a race between the two. */
    ended: (tenant: string, id: string) => `uploads/${tenant}/${id}/ended.json`,
    /** All objects of an upload. */
    objects: (tenant: string, id: string) => `uploads/${tenant}/${id}/`,
    prefix: 'uploads/',
  },
  batch: {
    prefix: (tenant: string, id: string) => `batches/${tenant}/${id}/`,
    /** The request as accepted → `validating`. */
    batch: (tenant: string, id: string) => `batches/${tenant}/${id}/batch.json`,
    /** Totals and shards → `in_progress`. */
    plan: (tenant: string, id: string) => `batches/${tenant}/${id}/plan.json`,
    /** Validation errors → `failed`. */
    failed: (tenant: string, id: string) => `batches/${tenant}/${id}/failed.json`,
    shard: (tenant: string, id: string, shard: number) => `batches/${tenant}/${id}/shards/${number(shard)}.jsonl`,
    /**
     * One part of a shard's results. The name carries the counts, so that progress is a listing: `last` says that with
     * this part the shard is complete.
     */
    part: (tenant: string, id: string, part: PartName) =>
      `batches/${tenant}/${id}/results/${written(part)}.c${part.completed}.f${part.failed}.u${part.units}${begun(part)}${part.last ? '.last' : ''}.jsonl`,
    parts: (tenant: string, id: string) => `batches/${tenant}/${id}/results/`,
    partsOfShard: (tenant: string, id: string, shard: number) => `batches/${tenant}/${id}/results/${number(shard)}.`,
    /** Finished pieces (pages, chunks) of items of a shard that are not finished themselves: a crash repeats none of them. */
    piecesPart: (tenant: string, id: string, part: PiecesName) =>
      `batches/${tenant}/${id}/pieces/${written(part)}.u${part.units}${begun(part)}.jsonl`,
    pieces: (tenant: string, id: string) => `batches/${tenant}/${id}/pieces/`,
    piecesOfShard: (tenant: string, id: string, shard: number) => `batches/${tenant}/${id}/pieces/${number(shard)}.`,
    /** Written by `POST …/cancel` → `cancelling`. */
    cancel: (tenant: string, id: string) => `batches/${tenant}/${id}/cancel.json`,
    /** All items are there, files are being put together → `finalizing`. */
    finalizing: (tenant: string, id: string) => `batches/${tenant}/${id}/finalizing.json`,
    /** Terminal status, counts, usage, output ids → `completed`, `expired`, `cancelled`. */
    final: (tenant: string, id: string) => `batches/${tenant}/${id}/final.json`,
    /** What the listeners of a running batch were told already. `name`: one segment. */
    told: (tenant: string, id: string, name: string) => `batches/${tenant}/${id}/told/${name}`,
    toldPrefix: (tenant: string, id: string) => `batches/${tenant}/${id}/told/`,
    /** Which batch was made of the items of this one that had one of `kinds`: letters and dashes. */
    retry: (tenant: string, id: string, kinds: string) => `batches/${tenant}/${id}/retries/${kinds}.json`,
    open: (tenant: string, id: string) => `index/open/${id}/${tenant}`,
    openPrefix: 'index/open/',
    ended: (seconds: number, tenant: string, id: string) =>
      `index/ended/${String(seconds).padStart(12, '0')}/${tenant}/${id}`,
    endedPrefix: 'index/ended/',
    /** The name carries what is held, so that a quota is checked by one listing. */
    held: (tenant: string, key: string | null, id: string, { items, bytes, input }: Held) =>
      `index/held/${tenant}/${key ?? NO_KEY}/${id}.i${items}.b${bytes}.${input}`,
    heldOfKey: (tenant: string, key: string | null) => `index/held/${tenant}/${key ?? NO_KEY}/`,
    heldOfTenant: (tenant: string) => `index/held/${tenant}/`,
    deleting: (tenant: string, id: string) => `index/deleting/${id}/${tenant}`,
    deletingPrefix: 'index/deleting/',
    /** Everything of all batches, by tenant and age. */
    all: 'batches/',
    index: (tenant: string, id: string) => `index/batches/${tenant}/${newestFirst(id)}`,
    indexPrefix: (tenant: string) => `index/batches/${tenant}/`,
  },
  hook: {
    endpoint: (tenant: string, id: string, revision: number) =>
      `hooks/endpoints/${tenant}/${id}/${number(revision)}.json`,
    revisions: (tenant: string, id: string) => `hooks/endpoints/${tenant}/${id}/`,
    live: (tenant: string, id: string) => `index/hooks/live/${tenant}/${id}`,
    livePrefix: (tenant: string) => `index/hooks/live/${tenant}/`,
    event: (tenant: string, id: string) => `hooks/events/${tenant}/${id}.json`,
    delivery: (tenant: string, endpoint: string, id: string) => `${deliveryPrefix(tenant, endpoint, id)}delivery.json`,
    attempt: (tenant: string, endpoint: string, id: string, n: number) =>
      `${deliveryPrefix(tenant, endpoint, id)}attempts/${number(n)}.json`,
    attempts: (tenant: string, endpoint: string, id: string) => `${deliveryPrefix(tenant, endpoint, id)}attempts/`,
    /** Delivered or given up. The last key of a delivery. */
    settled: (tenant: string, endpoint: string, id: string) => `${deliveryPrefix(tenant, endpoint, id)}settled.json`,
    deliveryPrefix,
    /** All deliveries to an endpoint, newest first: keys end in `/delivery.json`, `/attempts/<n>.json` or `/settled.json`. */
    deliveries: (tenant: string, endpoint: string) => `hooks/deliveries/${tenant}/${endpoint}/`,
    /** `lane`: what is delivered in order, a batch to an endpoint. `order`: `[0-9a-f]+`. */
    due: (tenant: string, endpoint: string, lane: string, order: string, delivery: string) =>
      `index/hooks/due/${tenant}/${endpoint}/${lane}/${order}-${delivery}`,
    dueOfLane: (tenant: string, endpoint: string, lane: string) => `index/hooks/due/${tenant}/${endpoint}/${lane}/`,
    duePrefix: 'index/hooks/due/',
    /** `day`: days since 1970. */
    kept: (day: number, tenant: string, what: 'endpoint' | 'event' | 'delivery', id: string, of = id) =>
      `index/hooks/kept/${number(day)}/${tenant}/${what}/${of}/${id}`,
    keptPrefix: 'index/hooks/kept/',
  },
  trigger: {
    revision: (tenant: string, id: string, revision: number) => `triggers/${tenant}/${id}/${number(revision)}.json`,
    revisions: (tenant: string, id: string) => `triggers/${tenant}/${id}/`,
    prefix: (tenant: string) => `triggers/${tenant}/`,
    owner: (id: string, tenant: string) => `index/triggers/${id}/${tenant}`,
    ownerPrefix: (id: string) => `index/triggers/${id}/`,
  },
  window: {
    window: (at: WindowPlace) => `${windowOf(at)}window.json`,
    inbox: (at: WindowPlace, writer: string, sequence: number) =>
      `${windowOf(at)}inbox/${writer}-${number(sequence)}.jsonl`,
    inboxPrefix: (at: WindowPlace) => `${windowOf(at)}inbox/`,
    /** From here on nothing that is written counts: whoever finds it writes elsewhere. */
    closing: (at: WindowPlace) => `${windowOf(at)}closing`,
    ofTrigger: (tenant: string, trigger: string) => `windows/${tenant}/${trigger}/`,
    open: (deadline: number, { tenant, trigger, window }: WindowPlace) =>
      `index/windows/${String(deadline).padStart(12, '0')}/${tenant}/${trigger}/${window}`,
    openPrefix: 'index/windows/',
  },
  ledger: {
    entry: (tenant: string, trigger: string, n: number) => `ledgers/${tenant}/${trigger}/${number(n)}.json`,
    prefix: (tenant: string, trigger: string) => `ledgers/${tenant}/${trigger}/`,
    /** `day`: days since 1970. */
    used: (day: number, tenant: string, trigger: string) => `index/ledgers/${number(day)}/${tenant}/${trigger}`,
    usedPrefix: 'index/ledgers/',
  },
  audit: {
    prefix: 'audit/',
    ofTenant: (tenant: string) => `audit/${tenant}/`,
    /** `day`: `2026-11-25`; `at`: Unix milliseconds. */
    part: (tenant: string, day: string, at: number, writer: string, sequence: number) =>
      `audit/${tenant}/${day}/${stamp({ at, writer, sequence })}.jsonl`,
  },
  quarantine: {
    prefix: 'quarantine/',
    ofTenant: (tenant: string) => `quarantine/${tenant}/`,
    /** What was withheld of one item, one time that it was done. */
    item: (tenant: string, batch: string, position: number, name: Stamp) =>
      `quarantine/${tenant}/${batch}/${number(position)}.${stamp(name)}.age`,
    ofItem: (tenant: string, batch: string, position: number) => `quarantine/${tenant}/${batch}/${number(position)}.`,
  },
  /** How fast a worker was, newest first. `at`: Unix milliseconds. */
  speed: ({ at, writer, sequence }: Stamp) =>
    `speeds/${(MAX_TIME - at).toString(16).padStart(12, '0')}-${writer}-${String(sequence).padStart(6, '0')}.json`,
  speedPrefix: 'speeds/',
  policy: (sha256: string) => `policies/${sha256}.json`,
  /** What signed URLs of the API are signed with: 32 random bytes. */
  urlKey: 'secrets/url-signing.key',
  key: (sha256: string) => `keys/${sha256}.json`,
  keyPrefix: 'keys/',
} as const;

/** One window of a trigger. */
export interface WindowPlace {
  tenant: string;
  trigger: string;
  window: string;
}
function windowOf({ tenant, trigger, window }: WindowPlace): string {
  return `windows/${tenant}/${trigger}/${window}/`;
}

/** Reads the key of an open window back, with the second by which it must be closed, or `null` if it is none. */
export function parseOpenWindow(key: string): (WindowPlace & { deadline: number }) | null {
  const m = /^index\/windows\/(\d{12})\/([^/]+)\/(trg_[0-9a-f]{32})\/(win_[0-9a-f]{32})$/.exec(key);
  if (m === null) return null;
  return { deadline: Number(m[1]), tenant: m[2] ?? '', trigger: m[3] ?? '', window: m[4] ?? '' };
}

/** Reads an entry of the triggers that had events on a day back, or `null` if it is none. Inverse of `layout.ledger.used`. */
export function parseUsed(key: string): { day: number; tenant: string; trigger: string } | null {
  const m = /^index\/ledgers\/(\d{8})\/([^/]+)\/(trg_[0-9a-f]{32})$/.exec(key);
  return m === null ? null : { day: Number(m[1]), tenant: m[2] ?? '', trigger: m[3] ?? '' };
}

/** What a batch takes of its key's quota while it has not ended. */
export interface Held {
  items: number;
  /** Of the input file. */
  bytes: number;
  /** Id of the input file. */
  input: string;
}

/** In place of the id of an API key where there is none. */
const NO_KEY = '-';

/** Reads the key of what a batch holds back, or `null` if it is none. Inverse of `layout.batch.held`. */
export function parseHeld(key: string): (Held & { tenant: string; key: string | null; id: string }) | null {
  const m = /^index\/held\/([^/]+)\/([^/]+)\/(batch_[0-9a-f]{32})\.i(\d+)\.b(\d+)\.(file-[0-9a-f]{32})$/.exec(key);
  if (m === null) return null;
  const [, tenant = '', holder = '', id = '', items, bytes, input = ''] = m;
  return { tenant, key: holder === NO_KEY ? null : holder, id, items: Number(items), bytes: Number(bytes), input };
}

/** Who wrote something, and when: names sort by age, and no two are ever the same. */
export interface Stamp {
  /** Unix milliseconds. */
  at: number;
  /** The worker's name for itself, 1 to 32 of `[a-z0-9]`: two workers that do the same never overwrite each other. */
  writer: string;
  sequence: number;
}

/** The same of something of a shard. */
interface Written extends Stamp {
  shard: number;
}

const stamp = ({ at, writer, sequence }: Stamp) =>
  `${at.toString(16).padStart(12, '0')}-${writer}-${String(sequence).padStart(6, '0')}`;
const written = (name: Written) => `${number(name.shard)}.${stamp(name)}`;
const STAMP = String.raw`([0-9a-f]{12})-([a-z0-9]{1,32})-(\d{6})`;
const WRITTEN = String.raw`(\d{8})\.${STAMP}`;
const readWritten = (m: RegExpExecArray): Written => ({
  shard: Number(m[1]),
  at: Number.parseInt(m[2] ?? '', 16),
  writer: m[3] ?? '',
  sequence: Number(m[4]),
});

/** Items whose length became known, and how many pages or seconds of sound they have together. */
export interface Begun {
  items: number;
  units: number;
}

const begun = ({ begun: of }: { begun?: Begun }) => (of === undefined ? '' : `.b${of.items}-${of.units}`);
const BEGUN = String.raw`(?:\.b(\d+)-(\d+))?`;
const readBegun = (items: string | undefined, units: string | undefined) =>
  items === undefined || units === undefined ? {} : { begun: { items: Number(items), units: Number(units) } };

/** What the name of a results part says. */
export interface PartName extends Written {
  completed: number;
  failed: number;
  /** Pages, or seconds of sound, of its items, as far as no pieces part counts them. */
  units: number;
  /** As far as no pieces part counts them. */
  begun?: Begun;
  last: boolean;
}

/** What the name of a part of pieces says. */
export interface PiecesName extends Written {
  units: number;
  begun?: Begun;
}

const PART = new RegExp(String.raw`/results/${WRITTEN}\.c(\d+)\.f(\d+)\.u(\d+)${BEGUN}(\.last)?\.jsonl$`);
const PIECES = new RegExp(String.raw`/pieces/${WRITTEN}\.u(\d+)${BEGUN}\.jsonl$`);

/** Reads a part's key back, or `null` if it is none. Inverse of `layout.batch.part`. */
export function parsePart(key: string): PartName | null {
  const m = PART.exec(key);
  if (m === null) return null;
  return {
    ...readWritten(m),
    completed: Number(m[5]),
    failed: Number(m[6]),
    units: Number(m[7]),
    ...readBegun(m[8], m[9]),
    last: m[10] !== undefined,
  };
}

/** The same of a part of pieces. Inverse of `layout.batch.piecesPart`. */
export function parsePieces(key: string): PiecesName | null {
  const m = PIECES.exec(key);
  return m === null ? null : { ...readWritten(m), units: Number(m[5]), ...readBegun(m[6], m[7]) };
}

const QUARANTINED = new RegExp(String.raw`^quarantine/([^/]+)/([^/]+)/(\d{8})\.${STAMP}\.age$`);

/** Reads the key of something in quarantine back, or `null` if it is none. Inverse of `layout.quarantine.item`. */
export function parseQuarantined(key: string): (Stamp & { tenant: string; batch: string; position: number }) | null {
  const m = QUARANTINED.exec(key);
  if (m === null) return null;
  const [, tenant = '', batch = '', position, at = '', writer = '', sequence] = m;
  return {
    tenant,
    batch,
    position: Number(position),
    at: Number.parseInt(at, 16),
    writer,
    sequence: Number(sequence),
  };
}

/** Reads an entry of an ended batch back, or `null` if it is none. Inverse of `layout.batch.ended`. */
export function parseEnded(key: string): { seconds: number; tenant: string; id: string } | null {
  const m = /^index\/ended\/(\d{12})\/([^/]+)\/(batch_[0-9a-f]{32})$/.exec(key);
  return m === null ? null : { seconds: Number(m[1]), tenant: m[2] ?? '', id: m[3] ?? '' };
}

/** The id at the end of an index key. */
export function idOfIndexKey(key: string): string {
  return /-((?:batch_|file-)[0-9a-f]{32})$/.exec(key)?.[1] ?? '';
}

/** Reads the key of a due delivery back, or `null` if it is none. Inverse of `layout.hook.due`. */
export function parseDue(key: string): { tenant: string; endpoint: string; lane: string; delivery: string } | null {
  const m = /^index\/hooks\/due\/([^/]+)\/([^/]+)\/([^/]+)\/[0-9a-f]+-(dlv_[0-9a-f]{32})$/.exec(key);
  if (m === null) return null;
  return { tenant: m[1] ?? '', endpoint: m[2] ?? '', lane: m[3] ?? '', delivery: m[4] ?? '' };
}

/** Reads an entry of what is deleted some day back, or `null` if it is none. Inverse of `layout.hook.kept`. */
export function parseKept(key: string): { day: number; tenant: string; what: string; of: string; id: string } | null {
  const m = /^index\/hooks\/kept\/(\d{8})\/([^/]+)\/(endpoint|event|delivery)\/([^/]+)\/([^/]+)$/.exec(key);
  if (m === null) return null;
  return { day: Number(m[1]), tenant: m[2] ?? '', what: m[3] ?? '', of: m[4] ?? '', id: m[5] ?? '' };
}
