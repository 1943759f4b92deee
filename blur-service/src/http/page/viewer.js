// The picture that is open: shown at large, compared, searched face by face, and corrected.

import { Boxes, labelOf } from './boxes.js';
import { Compare } from './compare.js';
import { byId } from './dom.js';
import { Draft } from './draft.js';
import { boxOf, isSame, marksOf } from './picture.js';
import { Stage } from './stage.js';
import { has, t } from './words.js';

export class Viewer {
  // The key of the mark that is spoken of.
  chosen = null;
  #picture = null;
  #result = null;
  // Whose result the stage shows already.
  #shown = null;
  #urls = [];

  // `say` speaks to who does not see; `chosen` hears that another mark is meant.
  constructor(album, { say, chosen }) {
    Object.assign(this, { album, say, hearChosen: chosen });
    this.element = byId('viewer');
    this.stage = new Stage(byId('stage'));
    this.compare = new Compare(this.stage);
    this.draft = new Draft(this.stage, { done: (rect, replaces) => this.#drawn(rect, replaces), say, changed: () => this.#tools() });
    this.boxes = new Boxes(this.stage, { act: mark => this.act(mark), choose: mark => this.choose(mark) });
    this.element.addEventListener('keydown', event => this.#key(event));
    for (const [id, work] of Object.entries(this.#actions)) byId(id).addEventListener('click', work);
    album.addEventListener('open', () => this.#open());
    album.addEventListener('change', event => event.detail === this.#picture && this.show());
  }

  get maySpare() { return this.album.choices.exclude; }
  get marks() { return this.#picture ? marksOf(this.#picture) : []; }

  #actions = {
    compare: () => this.#toggle(this.compare),
    boxes: () => this.#toggle(this.boxes),
    'face-next': () => this.step(1),
    'face-previous': () => this.step(-1),
    draw: () => this.draft.isOn ? this.draft.stop() : this.draw(),
    undo: () => this.album.undo(this.#picture),
    redo: () => this.album.redo(this.#picture),
    fit: () => this.stage.fit(),
    actual: () => this.stage.actual(),
    'zoom-in': () => this.stage.zoom(1.5),
    'zoom-out': () => this.stage.zoom(1 / 1.5),
  };

  #toggle(part) {
    part.toggle();
    this.#tools();
  }

  #open() {
    this.draft.stop();
    this.#picture = this.album.opened;
    this.#result = this.#shown = undefined;
    this.chosen = null;
    this.stage.show(null);
    this.show();
  }

  // Draws everything anew from what is known of the picture.
  show() {
    const picture = this.#picture;
    if (picture && this.#result !== picture.result) this.#load(picture);
    this.boxes.show(this.marks, this.chosen, this.maySpare);
    this.#message();
    this.#tools();
  }

  async #load(picture) {
    const result = this.#result = picture.result;
    const urls = [picture.file, result?.blob].map(blob => blob && URL.createObjectURL(blob));
    const images = urls.map(loaded);
    const [before, after] = await Promise.all(images);
    const isStale = this.#picture !== picture || this.#result !== result;
    for (const url of isStale ? urls : this.#urls) if (url) URL.revokeObjectURL(url);
    if (isStale) return;
    this.#urls = urls;
    this.#shown = result;
    this.#put('before', before);
    this.#put('after', after);
    this.stage.element.classList.toggle('unanswered', !result);
    this.stage.element.classList.toggle('unseen', !before);
    // What the service says counts; until then, what the browser makes of it.
    const shown = after ?? before;
    this.stage.show(result?.report.source.upright ?? (shown && { width: shown.naturalWidth, height: shown.naturalHeight }));
    this.compare.toggle(this.compare.isOn && Boolean(before && after));
    this.boxes.show(this.marks, this.chosen, this.maySpare);
    this.#message();
    this.#tools();
  }

  // In place of the last one, so that nothing flickers.
  #put(name, image) {
    const place = this.stage.sheet.querySelector(`.${name}`);
    place.src = image?.src ?? EMPTY;
    place.hidden = !image;
    place.alt = image ? t(`alt_${name}`) : '';
  }

  #message() {
    const picture = this.#picture;
    const text = !picture ? '' : picture.state === 'failed' ? sentence(picture.problem, this.album.choices)
      : picture.state === 'done' ? (picture.result && this.stage.element.classList.contains('unseen') && !this.stage.size ? t('cannot_show') : '')
        : t(picture.state);
    const line = byId('stage-message');
    line.textContent = text;
    line.hidden = !text;
    line.classList.toggle('bad', picture?.state === 'failed');
  }

  #tools() {
    const picture = this.#picture;
    const press = (id, on) => byId(id).setAttribute('aria-pressed', String(on));
    const able = (id, can) => { byId(id).disabled = !can; };
    press('compare', this.compare.isOn);
    press('boxes', this.boxes.isOn);
    press('draw', this.draft.isOn);
    able('compare', picture?.result && !this.stage.element.classList.contains('unseen'));
    for (const id of ['face-next', 'face-previous']) able(id, this.marks.length > 0);
    for (const id of ['draw', 'fit', 'actual', 'zoom-in', 'zoom-out', 'boxes']) able(id, this.stage.size);
    able('undo', picture?.history.canUndo);
    able('redo', picture?.history.canRedo);
    this.stage.element.setAttribute('aria-busy', String(Boolean(picture) && (!picture.isSettled || this.#shown !== picture.result)));
    byId('draw-hint').hidden = !this.draft.isOn;
    this.stage.element.setAttribute('aria-label', picture ? t('stage_label', picture.name || t('unnamed')) : '');
  }

  draw(region = null) {
    this.boxes.toggle(true);
    this.draft.start(region);
    this.say(t('draw_hint'));
  }

  #drawn(rect, replaces) {
    const others = this.#picture.history.now.regions.filter(region => region !== replaces);
    this.say(t('said_drawn'));
    this.album.change(this.#picture, { regions: [...others, rect] });
  }

  removeRegion(rect) {
    this.say(t('said_removed'));
    this.album.change(this.#picture, { regions: this.#picture.history.now.regions.filter(region => region !== rect) });
  }

  // What a click upon a box does.
  act(mark) {
    if (mark.kind === 'region') this.draw(mark.rect);
    else if (this.maySpare) this.spare(mark);
    else this.choose(mark, true);
  }

  // Spares a face, or hides one that was spared.
  spare({ kind, rect }) {
    const { exclude } = this.#picture.history.now;
    const others = exclude.filter(box => !isSame(box, rect));
    this.say(t(kind === 'spared' ? 'said_hidden' : 'said_spared'));
    this.album.change(this.#picture, { exclude: kind === 'spared' ? others : [...others, boxOf(rect)] });
  }

  choose(mark, approach = false) {
    if (approach) this.stage.approach(mark.rect);
    if (this.chosen === mark.key) return;
    this.chosen = mark.key;
    for (const box of this.boxes.layer.children) box.classList.toggle('chosen', box.dataset.key === mark.key);
    this.hearChosen();
  }

  // To the next face, or the one before, and closer.
  step(by) {
    const marks = this.marks;
    if (!marks.length) return;
    const index = marks.findIndex(mark => mark.key === this.chosen);
    const next = index < 0 ? (by > 0 ? 0 : marks.length - 1) : (index + by + marks.length) % marks.length;
    this.choose(marks[next], true);
    this.say(t('said_face', next + 1, marks.length, labelOf(marks[next], false)));
  }

  #key(event) {
    if (event.target.closest('input, select, textarea')) return;
    if (this.draft.key(event)) return event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isStage = event.target === this.stage.element;
    if (isStage && event.key in PAN) this.stage.pan(...PAN[event.key]);
    else if ((event.key === 'Delete' || event.key === 'Backspace') && this.#delete()) { /* done */ }
    else if (event.key in KEYS) byId(KEYS[event.key]).click();
    else return;
    event.preventDefault();
  }

  #delete() {
    const mark = this.marks.find(mark => mark.key === this.chosen);
    if (mark?.kind !== 'region') return false;
    this.removeRegion(mark.rect);
    return true;
  }
}

// Why there is no picture, as a sentence with what is allowed.
export function sentence(problem, { limits }) {
  const key = `problem_${problem.code}`;
  if (has(key)) return t(key, limits, problem);
  return problem.detail ? t('problem_said', problem.detail) : t('problem_unknown', problem.code);
}

// An image that can be shown at once; nothing where the browser cannot show it.
async function loaded(url) {
  if (!url) return null;
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

const EMPTY = 'data:,';
const STEP = 60;
const PAN = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
const KEYS = {
  d: 'draw', b: 'boxes', c: 'compare', n: 'face-next', p: 'face-previous', z: 'undo', y: 'redo', 0: 'fit', 1: 'actual', '+': 'zoom-in',
  '=': 'zoom-in', '-': 'zoom-out',
};
