// All pictures of the page, which of them is open, and what is chosen for all of them. It says `change` with the picture
// that changed, `list` when pictures came or went, `open` when another one is looked at.

import { uprightFile } from './decode.js';
import { Picture } from './picture.js';
import { Queue } from './queue.js';
import { Problem, hide } from './service.js';

export class Album extends EventTarget {
  pictures = [];
  opened = null;
  // What is chosen for all pictures; one of them may have its own.
  options = {};
  #queue = new Queue(AT_ONCE, picture => this.#work(picture));

  constructor(choices) {
    super();
    this.choices = choices;
  }

  add(files) {
    const added = [...files].map(file => new Picture(file, file.name || ''));
    this.pictures.push(...added);
    this.#tell('list');
    for (const picture of added) this.send(picture);
    return added;
  }

  remove(picture) {
    const index = this.pictures.indexOf(picture);
    this.#queue.drop(picture);
    picture.forget();
    this.pictures.splice(index, 1);
    if (this.opened === picture) this.open(this.pictures[Math.min(index, this.pictures.length - 1)] ?? null);
    this.#tell('list');
  }

  clear() {
    for (const picture of this.pictures) {
      this.#queue.drop(picture);
      picture.forget();
    }
    this.pictures = [];
    this.open(null);
    this.#tell('list');
  }

  open(picture) {
    this.opened = picture;
    this.#tell('open', picture);
  }

  // By `step` places along the pictures that `shown` lets through.
  openNext(step, shown = () => true) {
    const row = this.pictures.filter(picture => picture === this.opened || shown(picture));
    const next = row[row.indexOf(this.opened) + step];
    if (next) this.open(next);
  }

  // Changes one picture by hand: its original is sent again.
  change(picture, change) {
    picture.history.change(change);
    this.send(picture, true);
  }

  undo(picture) { this.#travel(picture, 'canUndo', 'undo'); }
  redo(picture) { this.#travel(picture, 'canRedo', 'redo'); }

  #travel(picture, can, way) {
    if (!picture.history[can]) return;
    picture.history[way]();
    this.send(picture, true);
  }

  // An option for all pictures, also for those that had one of their own.
  chooseForAll(name, value) {
    this.options = without(this.options, name);
    if (value !== null) this.options[name] = value;
    for (const picture of this.pictures) {
      if (name in picture.history.now.options) picture.history.change({ options: without(picture.history.now.options, name) });
      this.send(picture, picture === this.opened);
    }
  }

  // An option for one picture; null takes back its own.
  choose(picture, name, value) {
    const options = without(picture.history.now.options, name);
    if (value !== null) options[name] = value;
    this.change(picture, { options });
  }

  optionsOf(picture) { return { ...this.options, ...picture?.history.now.options }; }

  send(picture, first = false) {
    picture.wait();
    this.#tell('change', picture);
    this.#queue.push(picture, first);
  }

  async #work(picture) {
    const stop = new AbortController();
    picture.stop = stop;
    picture.state = 'working';
    this.#tell('change', picture);
    try {
      const { regions, exclude } = picture.history.now;
      const file = await uprightFile(picture.file, this.choices.reads);
      if (file.size > this.choices.limits.bytes) throw new Problem('too_many_bytes');
      const result = await hide(file, { ...this.optionsOf(picture), regions, exclude }, stop.signal);
      if (!stop.signal.aborted) await picture.finish(result);
    } catch (error) {
      if (!stop.signal.aborted) picture.fail(error instanceof Problem ? error : new Problem('unexpected', String(error)));
    }
    if (picture.stop === stop) picture.stop = null;
    this.#tell('change', picture);
  }

  #tell(what, picture) { this.dispatchEvent(new CustomEvent(what, { detail: picture })); }
}

function without(options, name) {
  const { [name]: _, ...rest } = options;
  return rest;
}

// Enough to keep a service with two threads busy; more would only wait there.
const AT_ONCE = 2;
