import { NotFoundError } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ models: ['acme/gemma:Q4_0', 'other'] });
});
afterAll(() => server.stop());

test('the served models are listed and described', async () => {
  const { models } = server.client();
  const ids: string[] = [];
  for await (const model of models.list()) ids.push(model.id);
  expect(ids).toEqual(['acme/gemma:Q4_0', 'other']);
  expect(await models.retrieve('acme/gemma:Q4_0')).toMatchObject({ id: 'acme/gemma:Q4_0', object: 'model' });
  await expect(models.retrieve('gpt')).rejects.toThrow(NotFoundError);
});
