// The parts of a `multipart/mixed` body (RFC 2046, section 5.1).

// `bytes` is the whole body; each part has its media type and its own bytes.
export function parts(contentType, bytes) {
  const boundary = /boundary="?([^";]+)/.exec(contentType)?.[1];
  const between = new TextEncoder().encode(`\r\n--${boundary}`);
  const found = [];
  // The first boundary has no line before it.
  let start = between.length - 2;
  for (;;) {
    const body = find(bytes, BLANK_LINE, start) + BLANK_LINE.length;
    const end = find(bytes, between, body);
    if (body < BLANK_LINE.length || end < 0) return found;
    const head = new TextDecoder().decode(bytes.subarray(start, body));
    found.push({ type: /content-type: *([^\r\n]+)/i.exec(head)?.[1] ?? '', body: bytes.subarray(body, end) });
    start = end + between.length;
  }
}

function find(bytes, what, from) {
  for (let at = bytes.indexOf(what[0], from); at >= 0; at = bytes.indexOf(what[0], at + 1)) {
    if (what.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}

const BLANK_LINE = new TextEncoder().encode('\r\n\r\n');
