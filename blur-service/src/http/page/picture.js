// One picture on its way: the file as it lies with its owner, what was changed by hand, and the last answer.

import { History } from './history.js';
import { thumbnail } from './decode.js';

let count = 0;

export class Picture {
  id = `picture-${++count}`;
  // waiting, working, done or failed
  state = 'waiting';
  history = new History();
  // {report, blob}
  result = null;
  // A `Problem`
  problem = null;
  thumbnail = null;
  stop = null;

  constructor(file, name) {
    this.file = file;
    this.name = name;
  }

  get isSettled() { return this.state === 'done' || this.state === 'failed'; }
  get faces() { return this.result?.report.faces ?? []; }
  get hasNoFace() { return this.state === 'done' && this.faces.length === 0 && this.history.now.regions.length === 0; }
  get isByHand() { return this.history.isByHand; }

  // In pixels of the upright picture; nothing where no face was found.
  get smallestFace() {
    const heights = this.faces.map(face => Math.min(face.width, face.height));
    return heights.length ? Math.round(Math.min(...heights)) : null;
  }

  wait() {
    this.stop?.abort();
    this.stop = null;
    this.problem = null;
    this.state = 'waiting';
  }

  async finish(result) {
    this.result = result;
    this.state = 'done';
    const thumb = await thumbnail(result.blob).catch(() => null);
    // A later answer may have come meanwhile.
    if (this.result !== result || !thumb) return;
    this.#dropThumbnail();
    this.thumbnail = URL.createObjectURL(thumb);
  }

  fail(problem) {
    this.problem = problem;
    this.state = 'failed';
  }

  forget() {
    this.stop?.abort();
    this.#dropThumbnail();
  }

  #dropThumbnail() { if (this.thumbnail) URL.revokeObjectURL(this.thumbnail); }
}

// Everything in a picture that has a box: found and hidden, found and spared, drawn. Boxes of several frames or pages would
// lie upon each other; those of the first are shown. `key` names one for as long as it is there.
export function marksOf(picture) {
  const { regions } = picture.history.now;
  const { faces = [], spared = [] } = picture.result?.report ?? {};
  const marks = (kind, rects) => rects.filter(rect => !rect.part).map(rect => ({ kind, rect, key: `${kind}-${keyOf(rect)}` }));
  return [...marks('face', faces), ...marks('spared', spared), ...marks('region', regions)].sort(byReading);
}

// Whether two boxes are mostly the same: half of both together, as the service counts it.
export function isSame(a, b) {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (width <= 0 || height <= 0) return false;
  const both = width * height;
  return both / (a.width * a.height + b.width * b.height - both) >= 0.5;
}

// The box alone, as the service takes it.
export const boxOf = ({ x, y, width, height }) => ({ x, y, width, height });

const keyOf = rect => [rect.x, rect.y, rect.width, rect.height].map(Math.round).join('-');

// Roughly from top to bottom, and in a row from left to right.
function byReading(a, b) {
  const isOneRow = Math.abs(a.rect.y - b.rect.y) < Math.min(a.rect.height, b.rect.height) / 2;
  return isOneRow ? a.rect.x - b.rect.x : a.rect.y - b.rect.y;
}
