// What the page asks of the service. It sends originals and keeps nothing there.

import { parts } from './multipart.js';

// Why there is no picture. `code` is the service's, or one of the page's own.
export class Problem extends Error {
  // `limit` is what would have been let pass.
  constructor(code, detail = '', limit = null) {
    super(detail || code);
    this.code = code;
    this.detail = detail;
    this.limit = limit;
  }

  // Whether the same file can do better another time.
  get mayPass() { return PASSING.has(this.code); }
}

// What may be chosen here, and the limits.
export async function choices() {
  const answer = await ask('v1/options', {});
  if (!answer.ok) throw await problem(answer);
  return answer.json();
}

// The picture with its faces hidden, and the report of it.
export async function hide(file, options, signal) {
  const form = new FormData();
  form.append('options', JSON.stringify(options));
  // What a file is called is nobody's business.
  form.append('image', file, 'picture');
  const answer = await patiently(() => ask('v1/blur', { method: 'POST', body: form, signal, headers: { Accept: 'multipart/mixed' } }), signal);
  if (!answer.ok) throw await problem(answer);
  const [report, picture] = parts(answer.headers.get('content-type'), new Uint8Array(await answer.arrayBuffer()));
  return {
    report: JSON.parse(new TextDecoder().decode(report.body)),
    blob: new Blob([picture.body], { type: picture.type }),
  };
}

async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('unreachable');
  }
}

// A full service says when to come again.
async function patiently(send, signal) {
  for (let tries = 1; ; tries++) {
    const answer = await send();
    if (answer.status !== 503 || tries === MOST_TRIES || signal.aborted) return answer;
    const seconds = Number(answer.headers.get('retry-after')) || 1;
    await new Promise(done => setTimeout(done, 1000 * seconds * (0.75 + Math.random() / 2)));
  }
}

async function problem(answer) {
  const document = await answer.json().catch(() => ({}));
  return new Problem(document.code ?? `status_${answer.status}`, document.detail, document.limit);
}

const MOST_TRIES = 20;
const PASSING = new Set([
  'unreachable', 'unexpected', 'busy', 'loading', 'deadline_exceeded', 'body_timeout', 'request_timeout', 'internal', 'no_backend',
  'upstream_failed', 'upstream_timeout', 'rate_limited', 'too_many_connections', 'status_429', 'status_500', 'status_502', 'status_503', 'status_504',
]);
