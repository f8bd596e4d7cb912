import { TriggerTemplate } from '@batchmill/contract';
import { describe, expect, it } from 'vitest';
import type { VerifiedEvent } from '../sources/port.ts';
import { compile } from './expression.ts';
import { compileTemplate } from './template.ts';

const event: VerifiedEvent = {
  key: 'k',
  type: 'ObjectCreated:Put',
  object: { bucket: 'scans', key: 'in/a b.pdf', size: 100, etag: 'e', contentType: 'application/pdf' },
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
    expect(await (await compileTemplate(ocr())).itemOf(event)).toEqual({
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
    expect((await (await compileTemplate(ocr(filter))).itemOf(event)) !== null).toBe(passes);
  });

  it('leaves out properties whose expression gives nothing', async () => {
    const item = await (await compileTemplate(ocr({}, { table_format: '{{ data.table }}' }))).itemOf(event);
    expect(item?.body).not.toHaveProperty('table_format');
  });

  it.each([
    [ocr({}, { pages: '{{ data. }}' }), /template\.body\.pages: 'data\.' is no JSONata expression/],
    [ocr({ when: '1 +' }), /template\.filter\.when/],
    [ocr({}, { document: '{{ data.missing }}' }), /template\.body\.document.*sample event/],
    [ocr({}, { table_format: '{{ data.lang }}' }), /template\.body\.table_format.*'ocr'.*sample event/],
    [ocr({}, { pages: '{{ $number("x") }}' }), /failed.*sample event/],
  ])('that is wrong is refused when it is made, with the place', async (template, message) => {
    await expect(compileTemplate(template, event)).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(message),
    });
  });

  it('costs a hostile event or expression no more than its time', async () => {
    for (const text of [
      '($f := function($n){ $f($n + 1) }; $f(1))',
      '$map([1..10000000], function($x){$x})',
      '$match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", /(a+)+$/)',
    ])
      await expect(compile(`{{ ${text} }}`).of({})).rejects.toThrow();
    expect(await compile('{{ data.constructor }}').of({ data: {} })).toBeUndefined();
  });
});
