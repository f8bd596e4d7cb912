import { TriggerTemplate } from '@batchmill/contract';
import { describe, expect, it } from 'vitest';
import type { VerifiedEvent } from '../sources/port.ts';
import { ExpressionError } from './expression-error.ts';
import { Sandbox } from './sandbox.ts';
import { compileTemplate } from './template.ts';

const SCAN = {
  bucket: 'scans',
  key: 'in/a b.pdf',
  size: 100,
  etag: 'e',
  contentType: 'application/pdf',
  arrived: true,
};
const event: VerifiedEvent = {
  key: 'k',
  type: 'ObjectCreated:Put',
  object: SCAN,
  data: { lang: 'de', pages: [1, 2] },
};
const ocr = (filter: Record<string, unknown> = {}, body: Record<string, unknown> = {}) =>
  TriggerTemplate.parse({
    task: 'ocr',
    body: {
      model: 'default',
      document: { type: 'document_url', document_url: 's3://{{ object.bucket }}/{{ object.key }}' },
      pages: '{{ data.pages }}',
      ...body,
    },
    filter,
  });

describe('a template', () => {
  it('makes an item of an event, values by type', async () => {
    expect(await (await compileTemplate('acme', ocr())).itemOf(event)).toEqual({
      url: '/v1/ocr',
      body: {
        model: 'default',
        document: { type: 'document_url', document_url: 's3://scans/in/a b.pdf' },
        pages: [1, 2],
      },
    });
  });

  it.each([
    [{ prefix: 'in/', suffix: '.PDF', max_bytes: 100, content_type: 'application/*', type: 'ObjectCreated:*' }, true],
    [{ when: "data.lang = 'de' and object.size > 50" }, true],
    [{ prefix: 'out/' }, false],
    [{ suffix: '.png' }, false],
    [{ min_bytes: 101 }, false],
    [{ content_type: 'image/png' }, false],
    [{ type: 'ObjectRemoved:*' }, false],
    [{ when: "data.lang = 'fr'" }, false],
    [{ when: 'data.lang' }, false],
  ])('lets pass what its filter says: %j', async (filter, passes) => {
    expect((await (await compileTemplate('acme', ocr(filter))).itemOf(event)) !== null).toBe(passes);
  });

  it('leaves out properties whose expression gives nothing', async () => {
    const item = await (await compileTemplate('acme', ocr({}, { table_format: '{{ data.table }}' }))).itemOf(event);
    expect(item?.body).not.toHaveProperty('table_format');
  });

  it.each([
    [ocr({}, { pages: '{{ data. }}' }), /template\.body\.pages: 'data\.' is no JSONata expression/],
    [ocr({ when: '1 +' }), /template\.filter\.when/],
    [ocr({}, { document: '{{ data.missing }}' }), /Missing required parameter: 'document'.*sample event/],
    [ocr({}, { table_format: '{{ data.lang }}' }), /'ocr'.*'table_format'.*sample event/],
    [ocr({}, { pages: '{{ $number("x") }}' }), /failed.*sample event/],
  ])('that is wrong is refused when it is made, with the place', async (template, message) => {
    await expect(compileTemplate('acme', template, event)).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(message),
    });
  });

  it('judges by the name what the sender does not say the type of', async () => {
    const template = await compileTemplate('acme', ocr({ content_type: 'application/pdf' }));
    const named = (key: string, contentType: string | null = null) =>
      template.itemOf({ ...event, object: { ...SCAN, key, contentType } });
    expect(await named('in/a.PDF')).not.toBeNull();
    expect(await named('in/a.pdf', 'binary/octet-stream')).not.toBeNull();
    expect(await named('in/a', 'application/pdf; version=1.7')).not.toBeNull();
    expect(await named('in/a.png')).toBeNull();
    expect(await named('in/a')).toBeNull();
    expect(await named('in/a.pdf', 'text/html')).toBeNull();
  });

  it('makes no item of an object that is gone, unless it is asked to', async () => {
    const gone = { ...event, type: 'ObjectRemoved:Delete', object: { ...SCAN, arrived: false } };
    expect(await (await compileTemplate('acme', ocr())).itemOf(gone)).toBeNull();
    expect(await (await compileTemplate('acme', ocr({ type: 'ObjectRemoved:*' }))).itemOf(gone)).not.toBeNull();
  });
});

describe('the sandbox', () => {
  const sandbox = new Sandbox();
  const fill = (tenant: string, expression: string, data: unknown = {}) =>
    sandbox.fill(tenant, {
      template: JSON.stringify({ body: { it: `{{ ${expression} }}` }, when: null }),
      input: { data },
      most: 10_000,
    });

  it.each([
    ['calls itself without end', '($f := function($n){ $f($n + 1) }; $f(1))'],
    ['makes a long sequence', '$map([1..10000000], function($x){$x})'],
    ['is a regular expression that backtracks', '$match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", /^(a+)+$/)'],
    ['fills the memory', '($f := function($s,$n){$n=0?$s:$f($s&$s,$n-1)}; $length($f("aaaaaaaa",24)))'],
    ['fills the memory with one call', '$count($split($pad("", 100000000), ""))'],
    ['gives more than an item may have', '$pad("", 20000)'],
  ])('stops an expression that %s, and others do not wait for it', async (_, expression) => {
    const stopped = fill('hostile', expression);
    stopped.catch(() => {});
    expect(await fill('other', '1 + 1')).toEqual({ it: 2 });
    await expect(stopped).rejects.toThrow(ExpressionError);
    expect(await fill('hostile', 'data.a', { a: 'x' })).toEqual({ it: 'x' });
  });

  it('takes turns between tenants', async () => {
    const done: string[] = [];
    const ask = (tenant: string) => fill(tenant, '1').then(() => done.push(tenant));
    await Promise.all([...Array.from({ length: 20 }, () => ask('many')), ask('few')]);
    expect(done.indexOf('few')).toBeLessThan(20);
  });

  it('gives expressions no way to what is not data', async () => {
    for (const expression of [
      'data.constructor',
      'data.__proto__',
      '$eval("process")',
      'data.a.constructor("return 1")',
    ])
      expect(await fill('acme', expression, { a: 'x' }).catch(() => ({}))).toEqual({});
  });
});
