// A box that is being drawn: with the pointer from corner to corner, or with the arrow keys.

import { h } from './dom.js';
import { t } from './words.js';

export class Draft {
  isOn = false;
  #rect = null;
  #corner = null;
  // The region that is changed, if it is not a new one.
  #replaces = null;

  constructor(stage, { done, say, changed }) {
    Object.assign(this, { stage, done, say, changed });
    this.element = h('div', { class: 'draft', hidden: true });
    stage.element.querySelector('.overlay').append(this.element);
    stage.addEventListener('view', () => this.#place());
  }

  // From where something is, or from the middle of what is seen.
  start(region = null) {
    if (!this.stage.size) return;
    this.isOn = true;
    this.#replaces = region;
    this.#rect = region ? { ...region } : middle(this.stage.visible);
    this.stage.tool = this;
    this.stage.element.classList.add('drawing');
    this.stage.element.focus();
    this.#place();
    this.changed();
  }

  stop() {
    if (!this.isOn) return;
    this.isOn = false;
    this.#rect = this.#corner = this.#replaces = null;
    this.stage.tool = null;
    this.stage.element.classList.remove('drawing');
    this.#place();
    this.changed();
  }

  commit() {
    const rect = inside(this.#rect, this.stage.size);
    const replaces = this.#replaces;
    this.stop();
    if (rect.width >= LEAST && rect.height >= LEAST) this.done(rect, replaces);
  }

  down(place) {
    this.#corner = place;
    this.#rect = { ...place, width: 0, height: 0 };
    this.#place();
  }

  move(place) {
    if (!this.#corner) return;
    this.#rect = between(this.#corner, place);
    this.#place();
  }

  up() {
    const { width, height } = this.#rect ?? {};
    this.#corner = null;
    // A mere click is no box.
    if (width * this.stage.scale >= SLACK && height * this.stage.scale >= SLACK) this.commit();
    else if (this.isOn) this.start(this.#replaces);
  }

  // Whether the key was meant for the box.
  key(event) {
    if (!this.isOn) return false;
    if (event.key === 'Escape') this.stop();
    else if (event.key === 'Enter') this.commit();
    else if (event.key in ARROWS) this.#arrow(event);
    else return false;
    return true;
  }

  #arrow(event) {
    const step = event.altKey || event.ctrlKey ? 1 : Math.max(1, Math.round(STRIDE / this.stage.scale));
    const [x, y] = ARROWS[event.key].map(way => way * step);
    const rect = this.#rect;
    if (event.shiftKey) Object.assign(rect, { width: Math.max(LEAST, rect.width + x), height: Math.max(LEAST, rect.height + y) });
    else Object.assign(rect, { x: rect.x + x, y: rect.y + y });
    this.#rect = inside(rect, this.stage.size);
    this.#place();
    this.say(t('draft_at', ...[this.#rect.x, this.#rect.y, this.#rect.width, this.#rect.height].map(Math.round)));
  }

  #place() {
    this.element.hidden = !this.#rect;
    if (!this.#rect) return;
    const { x, y, width, height } = this.stage.toScreen(this.#rect);
    Object.assign(this.element.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  }
}

function middle({ x, y, width, height }) {
  const side = Math.min(width, height) / 6;
  return { x: x + (width - side) / 2, y: y + (height - side) / 2, width: side, height: side };
}

function between(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

// In whole pixels of the picture.
function inside({ x, y, width, height }, size) {
  const left = clamp(Math.floor(x), 0, size.width - LEAST), top = clamp(Math.floor(y), 0, size.height - LEAST);
  const right = clamp(Math.ceil(x + width), left, size.width), bottom = clamp(Math.ceil(y + height), top, size.height);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LEAST = 2;
// Screen pixels.
const SLACK = 4;
const STRIDE = 8;
