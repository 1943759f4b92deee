// The picture at large: zoom, pan, and the picture's pixels as places on the screen. It says `view` whenever these change.

export class Stage extends EventTarget {
  // Of the upright picture, in its pixels; null while nothing is shown.
  size = null;
  // Screen pixels a picture's pixel, and where the picture's corner lies on the stage.
  scale = 1;
  x = 0;
  y = 0;
  // What takes the pointer instead of panning: {down, move, up}, each with a place in the picture.
  tool = null;
  #fits = true;
  #pointers = new Map();
  #moved = false;

  constructor(element) {
    super();
    this.element = element;
    this.sheet = element.querySelector('.sheet');
    for (const [event, handler] of [['pointerdown', this.#down], ['pointermove', this.#move], ['pointerup', this.#up], ['pointercancel', this.#up]]) {
      element.addEventListener(event, handler.bind(this));
    }
    element.addEventListener('wheel', event => this.#wheel(event), { passive: false });
    element.addEventListener('dblclick', event => this.#toggle(event));
    new ResizeObserver(() => this.#fits ? this.fit() : this.#changed()).observe(element);
  }

  // Another picture begins as a whole; the same one in another look stays where it is.
  show(size) {
    const isSame = this.size && size && this.size.width === size.width && this.size.height === size.height;
    this.size = size;
    if (!size) return;
    this.sheet.style.width = `${size.width}px`;
    this.sheet.style.height = `${size.height}px`;
    if (isSame) this.#changed();
    else this.fit();
  }

  get #width() { return this.element.clientWidth; }
  get #height() { return this.element.clientHeight; }
  get #fitting() {
    return Math.min((this.#width - 2 * MARGIN) / this.size.width, (this.#height - 2 * MARGIN) / this.size.height, MOST_FITTING);
  }

  fit() {
    if (!this.size || !this.#width) return;
    this.#place(this.#fitting, this.size.width / 2, this.size.height / 2);
    this.#fits = true;
  }

  // One pixel of the picture a pixel of the page.
  actual() { this.zoom(1 / this.scale); }

  // About a place on the stage, or its middle.
  zoom(factor, at = { x: this.#width / 2, y: this.#height / 2 }) {
    if (!this.size) return;
    const scale = Math.min(MOST, Math.max(this.#fitting / 2, this.scale * factor));
    this.x = at.x - (at.x - this.x) * scale / this.scale;
    this.y = at.y - (at.y - this.y) * scale / this.scale;
    this.scale = scale;
    this.#fits = false;
    this.#changed();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.#fits = false;
    this.#changed();
  }

  // Brings a box of the picture before the eyes, with what is around it.
  approach(rect) {
    const wanted = Math.min(this.#width, this.#height) / (AROUND * Math.max(rect.width, rect.height));
    this.#place(Math.min(CLOSEST, Math.max(wanted, this.#fitting)), rect.x + rect.width / 2, rect.y + rect.height / 2);
  }

  toScreen({ x, y, width, height }) {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y, width: width * this.scale, height: height * this.scale };
  }

  // What is seen of the picture, in its pixels.
  get visible() {
    const left = Math.max(0, -this.x / this.scale), top = Math.max(0, -this.y / this.scale);
    const right = Math.min(this.size.width, (this.#width - this.x) / this.scale);
    const bottom = Math.min(this.size.height, (this.#height - this.y) / this.scale);
    return { x: left, y: top, width: right - left, height: bottom - top };
  }

  #place(scale, x, y) {
    this.scale = scale;
    this.x = this.#width / 2 - x * scale;
    this.y = this.#height / 2 - y * scale;
    this.#fits = false;
    this.#changed();
  }

  #changed() {
    if (!this.size) return;
    this.x = held(this.x, this.#width, this.size.width * this.scale);
    this.y = held(this.y, this.#height, this.size.height * this.scale);
    this.sheet.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.sheet.classList.toggle('close', this.scale >= 3);
    this.dispatchEvent(new Event('view'));
  }

  #at(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #inPicture(event) {
    const { x, y } = this.#at(event);
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  #down(event) {
    if (!this.size || event.button !== 0 || event.target.closest('.divider')) return;
    this.#pointers.set(event.pointerId, this.#at(event));
    this.#moved = false;
    if (this.tool && this.#pointers.size === 1) {
      this.element.setPointerCapture(event.pointerId);
      this.tool.down(this.#inPicture(event));
    }
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#at(event);
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, before, now);
    else if (this.tool) this.tool.move(this.#inPicture(event));
    else if (this.#moved || Math.hypot(now.x - before.x, now.y - before.y) > SLACK) {
      // From here on it is no click upon what lies below.
      if (!this.#moved) this.element.setPointerCapture(event.pointerId);
      this.#moved = true;
      this.pan(now.x - before.x, now.y - before.y);
    } else return;
    this.#pointers.set(event.pointerId, now);
  }

  #up(event) {
    const isOnly = this.#pointers.size === 1;
    if (this.#pointers.delete(event.pointerId) && isOnly && this.tool) this.tool.up();
  }

  #pinch(id, before, now) {
    const [, other] = [...this.#pointers].find(([pointer]) => pointer !== id);
    const apart = place => Math.hypot(place.x - other.x, place.y - other.y);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.zoom(apart(now) / Math.max(1, apart(before)), middle);
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), this.#at(event));
  }

  #toggle(event) {
    if (this.tool || event.target.closest('button')) return;
    if (this.#fits) this.zoom(Math.max(1, 2 * this.scale) / this.scale, this.#at(event));
    else this.fit();
  }
}

// A picture smaller than the stage stays in its middle, a larger one covers it.
function held(at, room, length) {
  if (length <= room - 2 * MARGIN) return (room - length) / 2;
  return Math.min(room / 2, Math.max(room / 2 - length, at));
}

const MARGIN = 12;
const MOST = 32;
const MOST_FITTING = 2;
// How many times a face's size the stage shows of what is around it, and up to which scale.
const AROUND = 3.5;
const CLOSEST = 6;
const SLACK = 4;
