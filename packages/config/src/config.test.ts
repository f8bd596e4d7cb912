import { expect, test } from 'vitest';
import { ConfigError, loadConfig } from './config.ts';

test('nothing set gives the embedded defaults on loopback', () => {
  const config = loadConfig({});
  expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, queueUrl: null, bucketUrl: null, home: '.batchmill' });
  expect(config.model.name).toBe('batchmill-demo');
  expect(config.limits.batchItems).toBe(50_000);
});

test('empty counts as unset', () => {
  expect(loadConfig({ PORT: '', QUEUE_URL: '' })).toMatchObject({ port: 8080, queueUrl: null });
});

test('every wrong setting is named, and no value is repeated', () => {
  const load = () => loadConfig({ PORT: 'eighty', QUEUE_URL: 'amqp://u:hunter2@h', S3_INPUTS: '[', SLOTS: '0' });
  expect(load).toThrow(ConfigError);
  for (const name of ['PORT', 'QUEUE_URL', 'S3_INPUTS', 'SLOTS']) expect(load).toThrow(name);
  expect(load).not.toThrow(/hunter2/);
});

test.for([
  ['/models/gemma-4-E2B.Q4_0.gguf', 'gemma-4-E2B.Q4_0'],
  ['hf:MobiusDevelopment/gemma4-E2B-it-qat-Q4-unsloth-heretic:Q4_0', 'gemma4-E2B-it-qat-Q4-unsloth-heretic'],
  ['https://example.com/a/b.gguf?download=1', 'b'],
])('%s is served as %s', ([source, name]) => {
  expect(loadConfig({ MODEL: source }).model.name).toBe(name);
});

test('a prefix that items may read names its bucket whole', () => {
  const load = (prefix: string) => loadConfig({ S3_INPUTS: JSON.stringify({ acme: [prefix] }) });
  expect(load('s3://scans/').s3Inputs).toEqual({ acme: ['s3://scans/'] });
  expect(() => load('s3://scans')).toThrow(/S3_INPUTS/);
  expect(() => load('https://scans/')).toThrow(/S3_INPUTS/);
});

test('RETENTION is days by tenant, or refused without showing it', () => {
  const set = { '*': { batches: 90, files: 0.5 }, acme: { results: 7 } };
  expect(loadConfig({ RETENTION: JSON.stringify(set) }).retention).toEqual(set);
  for (const wrong of ['30', '{"*":30}', '{"*":{"batches":0}}', '{"*":{"days":1}}', '{"*":{"batches":"1"}}', 'secret'])
    expect(() => loadConfig({ RETENTION: wrong })).toThrow(/RETENTION: must be JSON like/);
  expect(() => loadConfig({ RETENTION: 'secret' })).not.toThrow(/secret/);
});

test('quotas are any unless set', () => {
  expect(loadConfig({}).quota).toEqual({ batches: null, items: null, bytes: null, requestsPerSecond: null });
  expect(loadConfig({ QUOTA_MB: '2', QUOTA_RPS: '5' }).quota).toMatchObject({
    bytes: 2 * 2 ** 20,
    requestsPerSecond: 5,
  });
  expect(() => loadConfig({ QUOTA_ITEMS: '0' })).toThrow(/QUOTA_ITEMS/);
});
