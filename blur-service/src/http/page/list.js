// All pictures in small rows, and which of them are shown.

import { byId, h, icon } from './dom.js';
import { sentence } from './viewer.js';
import { t } from './words.js';

export const FILTERS = {
  all: () => true,
  no_face: picture => picture.hasNoFace,
  failed: picture => picture.state === 'failed',
  by_hand: picture => picture.isByHand,
};

export class List {
  filter = 'all';
  #rows = new Map();

  constructor(album) {
    this.album = album;
    this.element = byId('list');
    album.addEventListener('list', () => this.show());
    album.addEventListener('change', event => this.#update(event.detail));
    album.addEventListener('open', () => this.#mark());
    this.element.addEventListener('keydown', event => this.#key(event));
  }

  get passes() { return FILTERS[this.filter]; }

  // Makes the rows of pictures that are new, and drops those of pictures that are gone.
  show() {
    const known = this.#rows;
    this.#rows = new Map(this.album.pictures.map(picture => [picture, known.get(picture) ?? this.#row(picture)]));
    this.element.replaceChildren(...this.#rows.values());
    this.refresh();
  }

  refresh() {
    for (const picture of this.#rows.keys()) this.#fill(picture);
    this.#count();
    this.#mark();
  }

  choose(filter) {
    this.filter = filter;
    this.refresh();
  }

  #row(picture) {
    return h('li', { id: picture.id },
      h('button', { type: 'button', class: 'row', onclick: () => this.album.open(picture) },
        h('span', { class: 'thumb', 'aria-hidden': 'true' }), h('span', { class: 'row-words' }, h('span', { class: 'row-name' }), h('span', { class: 'row-state' }))),
      h('button', { type: 'button', class: 'icon-only row-remove', onclick: () => this.#remove(picture) }, icon('remove')));
  }

  #remove(picture) {
    const row = this.#rows.get(picture);
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    this.album.remove(picture);
    (neighbour?.querySelector('.row') ?? byId('files')).focus();
  }

  #update(picture) {
    if (!this.#rows.has(picture)) return;
    this.#fill(picture);
    this.#count();
  }

  #fill(picture) {
    const row = this.#rows.get(picture);
    const name = picture.name || t('unnamed');
    row.hidden = !this.passes(picture);
    row.className = `${picture.state}${picture.hasNoFace ? ' no-face' : ''}`;
    row.querySelector('.row-name').textContent = name;
    row.querySelector('.row-state').textContent = this.#state(picture);
    row.querySelector('.row-remove').setAttribute('aria-label', t('remove_named', name));
    const thumb = row.querySelector('.thumb');
    thumb.style.backgroundImage = picture.thumbnail ? `url("${picture.thumbnail}")` : '';
  }

  #state(picture) {
    if (picture.state === 'failed') return sentence(picture.problem, this.album.choices);
    if (picture.state !== 'done') return t(picture.state);
    const faces = picture.hasNoFace ? t('row_no_face') : t('row_faces', picture.faces.length);
    return picture.isByHand ? `${faces} · ${t('row_by_hand')}` : faces;
  }

  #mark() {
    for (const [picture, row] of this.#rows) {
      const isOpen = picture === this.album.opened;
      row.classList.toggle('open', isOpen);
      const button = row.querySelector('.row');
      if (isOpen) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
      if (isOpen) row.scrollIntoView({ block: 'nearest' });
    }
  }

  #count() {
    for (const [name, passes] of Object.entries(FILTERS)) {
      byId(`count-${name}`).textContent = this.album.pictures.filter(passes).length;
    }
    byId('list-empty').hidden = this.album.pictures.some(this.passes);
  }

  // Arrow keys go from row to row.
  #key(event) {
    const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key];
    if (!step) return;
    let row = event.target.closest('li')?.[step];
    while (row?.hidden) row = row[step];
    if (!row) return;
    event.preventDefault();
    row.querySelector('.row').focus();
  }
}
