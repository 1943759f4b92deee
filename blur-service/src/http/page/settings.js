// How faces are hidden: for all pictures, or for the open one. What there is to choose is what the service says.

import { h, refill } from './dom.js';
import { has, t } from './words.js';

export class Settings {
  // Whether a choice is for the open picture alone.
  isForOne = false;

  constructor(container, album) {
    this.container = container;
    this.album = album;
  }

  show() {
    const { choices } = this.album;
    const offered = SHOWN.filter(name => choices[name]?.allowed.length > 1);
    refill(this.container, this.#whom(), offered.map(name => this.#option(name, choices[name])));
  }

  #whom() {
    const one = (isOne, key) => h('label', { class: 'chip' },
      h('input', {
        type: 'radio', name: 'whom', checked: this.isForOne === isOne, 'data-key': key,
        onchange: () => { this.isForOne = isOne; this.show(); },
      }), h('span', {}, t(key)));
    return h('fieldset', { class: 'chips whom' }, h('legend', {}, t('whom')), one(false, 'whom_all'), one(true, 'whom_one'));
  }

  // What is set up is chosen by choosing nothing, and says so.
  #option(name, { set, allowed }) {
    const chosen = this.#chosen(name) ?? set;
    return h('fieldset', { class: name === 'effect' ? 'cards' : 'chips' },
      h('legend', {}, word(name)),
      allowed.map(value => this.#value(name, value, { isSet: value === set, isChosen: value === chosen })),
      has(`about_${name}`) && h('p', { class: 'about' }, t(`about_${name}`)));
  }

  #value(name, value, { isSet, isChosen }) {
    const preview = previewOf(name, value);
    return h('label', { class: preview ? 'card' : 'chip' },
      h('input', {
        type: 'radio', name, value, checked: isChosen, 'data-key': `${name}-${value}`,
        onchange: () => this.#choose(name, value),
      }),
      preview && h('img', { src: preview, alt: '', width: 84, height: 64 }),
      h('span', {}, valueName(name, value), isSet && h('small', {}, t('as_set_up'))));
  }

  // Null is what would be used anyway.
  #choose(name, value) {
    const { album } = this;
    const { set } = album.choices[name];
    if (!this.isForOne || !album.opened) album.chooseForAll(name, value === set ? null : value);
    else album.choose(album.opened, name, value === (album.options[name] ?? set) ? null : value);
  }

  #chosen(name) {
    return (this.isForOne ? this.album.optionsOf(this.album.opened) : this.album.options)[name];
  }
}

const word = name => has(`option_${name}`) ? t(`option_${name}`) : name;

// What the service may offer one day is shown by its own name.
function valueName(name, value) {
  if (name === 'margin') return `× ${value}`;
  return has(`${name}_${value}`) ? t(`${name}_${value}`) : String(value);
}

const previewOf = (name, value) => name === 'effect' && PREVIEWS.has(value) ? `v1/page/look-${value}.webp` : null;

// In this order, where there is something to choose.
const SHOWN = ['effect', 'shape', 'margin', 'sensitivity', 'detail', 'profile', 'format'];
const PREVIEWS = new Set(['smooth', 'mosaic', 'gaussian', 'solid']);
