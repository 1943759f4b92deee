// A ZIP archive whose files are stored as they are (APPNOTE 6.3, without ZIP64): pictures are compressed already.

// `files` are {name, blob}. The pictures' bytes are read once, for their checksums, and are not copied.
export async function zip(files) {
  const local = [], central = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const entry = { name: new TextEncoder().encode(name), size: blob.size, checksum: await crc32(blob), offset };
    const head = header(LOCAL, entry);
    local.push(head, blob);
    central.push(header(CENTRAL, entry));
    offset += head.size + blob.size;
  }
  const length = central.reduce((sum, part) => sum + part.size, 0);
  return new Blob([...local, ...central, end(files.length, length, offset)], { type: 'application/zip' });
}

// As many archives as it takes, since one has at most 4 GB and 65,535 files.
export function volumes(files) {
  const all = [[]];
  let size = 0;
  for (const file of files) {
    const room = file.blob.size + 4 * file.name.length + 256;
    if (size + room > MOST_BYTES || all.at(-1).length === MOST_FILES) {
      all.push([]);
      size = 0;
    }
    all.at(-1).push(file);
    size += room;
  }
  return all;
}

const LOCAL = { signature: 0x04034b50, made: false };
const CENTRAL = { signature: 0x02014b50, made: true };

function header({ signature, made }, { name, size, checksum, offset }) {
  const field = new Fields();
  field.four(signature);
  if (made) field.two(VERSION);
  field.two(VERSION).two(UTF_8).two(STORED).two(0).two(JANUARY_1980);
  field.four(checksum).four(size).four(size).two(name.length).two(0);
  if (made) field.two(0).two(0).two(0).four(0).four(offset);
  return new Blob([field.bytes(), name]);
}

function end(count, length, offset) {
  const field = new Fields();
  field.four(0x06054b50).two(0).two(0).two(count).two(count).four(length).four(offset).two(0);
  return new Blob([field.bytes()]);
}

class Fields {
  #bytes = [];
  two(value) { this.#bytes.push(value & 255, value >>> 8 & 255); return this; }
  four(value) { return this.two(value & 0xffff).two(value >>> 16); }
  bytes() { return new Uint8Array(this.#bytes); }
}

async function crc32(blob) {
  let sum = -1;
  for await (const bytes of chunks(blob)) for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ sum >>> 8;
  return ~sum >>> 0;
}

async function* chunks(blob) {
  for (let at = 0; at < blob.size; at += CHUNK) yield new Uint8Array(await blob.slice(at, at + CHUNK).arrayBuffer());
}

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ value >>> 1 : value >>> 1;
  return value;
});
const CHUNK = 1 << 20;
const VERSION = 20;
const UTF_8 = 1 << 11;
const STORED = 0;
// Who packed it when is nobody's business.
const JANUARY_1980 = 33;
const MOST_BYTES = 0xf0000000;
const MOST_FILES = 65000;
