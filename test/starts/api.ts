import { openApi } from '../../apps/api/src/lambda/api.ts';

// One request to the API as a sandbox of Lambda opens it: arguments are method, path, key and body.
const [method = '', path = '', key = '', body] = process.argv.slice(2);
const api = await openApi();
const response = await api.request(path, {
  method,
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  ...(body === undefined ? {} : { body }),
});
process.stdout.write(`${response.status}`);
process.exit(0);
