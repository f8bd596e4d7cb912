/** A request, before it becomes an event. */
export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
}

export interface EventShape {
  name: string;
  event(asked: Asked): object;
}

const HOST = 'abc123.lambda-url.eu-central-1.on.aws';

function parts({ method, path, headers, body }: Asked) {
  const url = new URL(path, `https://${HOST}`);
  const all: Record<string, string> = { host: HOST, 'x-forwarded-proto': 'https', ...headers };
  const single = Object.fromEntries(url.searchParams);
  const multi: Record<string, string[]> = {};
  for (const [name, value] of url.searchParams) multi[name] = [...(multi[name] ?? []), value];
  const multiHeaders = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]]));
  return {
    method,
    path: url.pathname,
    rawQueryString: url.searchParams.toString(),
    headers: all,
    multiHeaders,
    single,
    multi,
    body: body === undefined ? null : Buffer.from(body).toString('base64'),
    isBase64Encoded: body !== undefined,
  };
}

/**
 * The four ways in which Lambda is asked over HTTP, each as AWS documents its event:
 * REST API (payload 1.0), HTTP API and function URL (2.0), application load balancer with multi-value headers.
 */
export const EVENT_SHAPES: readonly EventShape[] = [
  {
    name: 'REST API',
    event: (asked) => {
      const p = parts(asked);
      return {
        version: '1.0',
        resource: '/{proxy+}',
        path: p.path,
        httpMethod: p.method,
        headers: p.headers,
        multiValueHeaders: p.multiHeaders,
        queryStringParameters: p.single,
        multiValueQueryStringParameters: p.multi,
        pathParameters: { proxy: p.path.slice(1) },
        stageVariables: null,
        requestContext: {
          accountId: '123456789012',
          apiId: 'abc123',
          domainName: HOST,
          httpMethod: p.method,
          identity: { sourceIp: '203.0.113.7', userAgent: 'test' },
          path: p.path,
          protocol: 'HTTP/1.1',
          requestId: 'r',
          resourcePath: '/{proxy+}',
          stage: '$default',
        },
        body: p.body,
        isBase64Encoded: p.isBase64Encoded,
      };
    },
  },
  { name: 'HTTP API', event: (asked) => version2(asked, '$default') },
  {
    name: 'load balancer',
    event: (asked) => {
      const p = parts(asked);
      return {
        requestContext: {
          elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/x/y' },
        },
        httpMethod: p.method,
        path: p.path,
        // A load balancer hands queries over as they came, not decoded.
        multiValueQueryStringParameters: Object.fromEntries(
          Object.entries(p.multi).map(([name, values]) => [name, values.map(encodeURIComponent)]),
        ),
        multiValueHeaders: p.multiHeaders,
        body: p.body ?? '',
        isBase64Encoded: p.isBase64Encoded,
      };
    },
  },
];

/** A function URL, which alone can stream. */
export const FUNCTION_URL: EventShape = { name: 'function URL', event: (asked) => version2(asked, '$default') };

function version2(asked: Asked, stage: string): object {
  const p = parts(asked);
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: p.path,
    rawQueryString: p.rawQueryString,
    headers: p.headers,
    queryStringParameters: p.single,
    requestContext: {
      accountId: 'anonymous',
      apiId: 'abc123',
      domainName: HOST,
      domainPrefix: 'abc123',
      http: { method: p.method, path: p.path, protocol: 'HTTP/1.1', sourceIp: '203.0.113.7', userAgent: 'test' },
      requestId: 'r',
      routeKey: '$default',
      stage,
      time: '28/Nov/2026:09:00:00 +0000',
      timeEpoch: 1_795_856_400_000,
    },
    ...(p.body === null ? {} : { body: p.body }),
    isBase64Encoded: p.isBase64Encoded,
  };
}
