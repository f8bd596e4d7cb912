import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Api } from '../deps.ts';
import { openApiDocument } from '../openapi.ts';

/** Everything the page loads comes from this server, and no script or style stands in the page itself. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Batchmill API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="reference"></div>
<noscript>The reference needs JavaScript; the document it shows is <a href="/openapi.json">openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#reference', deepLinking: true });\n";

/** Files of swagger-ui-dist that the page needs, and their types. No other file is served. */
const ASSETS: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** `/openapi.json`, and a page at `/docs` that shows it. */
export function docsRoutes(api: Api): void {
  let document: string | undefined;
  api.get('/openapi.json', (c) => {
    document ??= JSON.stringify(openApiDocument(api));
    return c.body(document, 200, { 'content-type': 'application/json' });
  });
  api.get('/docs', (c) => c.html(PAGE, 200, { 'content-security-policy': POLICY }));
  api.get('/docs/start.js', (c) => c.body(START, 200, { 'content-type': 'text/javascript; charset=utf-8' }));
  const packaged = createRequire(import.meta.url);
  for (const [name, type] of Object.entries(ASSETS)) {
    api.get(`/docs/${name}`, async (c) => {
      const content = await readFile(packaged.resolve(`swagger-ui-dist/${name}`));
      return c.body(new Uint8Array(content), 200, { 'content-type': type, 'cache-control': 'public, max-age=3600' });
    });
  }
}
