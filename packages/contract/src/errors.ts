import { z } from 'zod';

/** The body of every failed request, as OpenAI's SDKs read it. */
export const ErrorBody = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .meta({ id: 'Error' });
export type ErrorBody = z.infer<typeof ErrorBody>;

export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'conflict_error'
  | 'rate_limit_error'
  | 'server_error';

/**
 * A failure with an HTTP status, in the shape the wire wants. Thrown at the edge of the API for a request,
 * and by tasks for one item of a batch; `message` tells the user what to do about it.
 */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: number;
  readonly type: ErrorType;
  readonly code: string | null;
  readonly param: string | null;
  /** Whether the same request may do better later, and after how many seconds; `null`: what the status says. */
  readonly again: { retry: boolean; seconds: number } | null;

  constructor(
    status: number,
    message: string,
    options: {
      code?: string;
      param?: string;
      type?: ErrorType;
      again?: { retry: boolean; seconds: number };
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.status = status;
    this.type = options.type ?? typeOf(status);
    this.code = options.code ?? null;
    this.param = options.param ?? null;
    this.again = options.again ?? null;
  }

  body(): ErrorBody {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

function typeOf(status: number): ErrorType {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 409) return 'conflict_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/**
 * The first problem of a failed zod parse as a `RequestError` (status 400) that names the parameter.
 * Unknown keys of strict objects become `unknown_parameter`, everything else `invalid_value`. With the `input` that was
 * parsed, a required parameter of any type that is not there is called missing (zod says so of some types only).
 */
export function invalid(error: z.ZodError, input?: unknown): RequestError {
  const outer = error.issues[0];
  if (outer === undefined) return new RequestError(400, 'The request is not valid.');
  const issue = innermost(outer);
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const param = [...path, issue.keys[0] ?? ''].join('.');
    return new RequestError(400, `Unknown parameter: '${param}'.`, { code: 'unknown_parameter', param });
  }
  const param = path.join('.');
  const missing =
    (issue.code === 'invalid_type' && issue.input === undefined && /received undefined/.test(issue.message)) ||
    isMissing(input, issue.path);
  if (missing && param !== '')
    return new RequestError(400, `Missing required parameter: '${param}'.`, {
      code: 'missing_required_parameter',
      param,
    });
  const where = param === '' ? 'Invalid request' : `Invalid value for '${param}'`;
  return new RequestError(400, `${where}: ${issue.message}.`, {
    code: 'invalid_value',
    ...(param === '' ? {} : { param }),
  });
}

/**
 * Where several forms are allowed (`content`: text or a list of parts), the problem in the form that was meant: the one
 * that zod got furthest into.
 */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const forms = issue.errors.flatMap(([first]) => (first === undefined ? [] : [innermost(first)]));
  const deepest = Math.max(0, ...forms.map((form) => form.path.length));
  const meant = forms.find((form) => form.path.length === deepest);
  if (meant === undefined) return issue;
  if (deepest > 0) return { ...meant, path: [...issue.path, ...meant.path] };
  return { ...issue, message: forms.map((form) => form.message).join(' or ') };
}

/** True if there is something at the path's parent, and nothing at the path. */
function isMissing(input: unknown, path: PropertyKey[]): boolean {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return false;
    value = Reflect.get(value, key);
  }
  return value === undefined && input !== undefined;
}
