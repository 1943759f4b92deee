// Boxes over the picture: buttons, so that a keyboard reaches them. A click spares a face or shows it again as hidden, or
// chooses what was drawn.

import { h } from './dom.js';
import { t } from './words.js';

export class Boxes {
  isOn = true;
  #shown = [];

  constructor(stage, { act, choose }) {
    this.stage = stage;
    this.layer = stage.element.querySelector('.boxes');
    this.act = act;
    this.choose = choose;
    stage.addEventListener('view', () => this.#place());
  }

  toggle(on = !this.isOn) {
    this.isOn = on;
    this.layer.hidden = !on;
  }

  // `chosen` is the key of the one that is spoken of.
  show(marks, chosen, maySpare) {
    const focused = this.layer.contains(document.activeElement) && document.activeElement.dataset.key;
    this.#shown = marks.map(mark => [mark, this.#box(mark, chosen, maySpare)]);
    this.layer.replaceChildren(...this.#shown.map(([, box]) => box));
    this.#place();
    if (focused) (this.#shown.find(([mark]) => mark.key === focused)?.[1] ?? this.stage.element).focus({ preventScroll: true });
  }

  #box(mark, chosen, maySpare) {
    return h('button', {
      type: 'button',
      class: `box ${mark.kind}${mark.key === chosen ? ' chosen' : ''}`,
      'data-key': mark.key,
      'aria-label': labelOf(mark, maySpare),
      onclick: () => this.act(mark),
      onfocus: () => this.choose(mark),
    }, h('span', { class: 'tag', 'aria-hidden': 'true' }, tagOf(mark)));
  }

  #place() {
    if (!this.stage.size) return;
    for (const [{ rect }, box] of this.#shown) {
      const { x, y, width, height } = this.stage.toScreen(rect);
      Object.assign(box.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
      box.classList.toggle('small', width < 56);
    }
  }
}

export function tagOf({ kind, rect }) {
  return kind === 'region' ? t('drawn') : `${kind === 'spared' ? `${t('spared')} ` : ''}${rect.score.toFixed(2)}`;
}

export function labelOf(mark, maySpare) {
  const { kind, rect } = mark;
  const size = t('size', Math.round(rect.width), Math.round(rect.height));
  if (kind === 'region') return t('box_region', size);
  if (kind === 'spared') return t('box_spared', size, rect.score.toFixed(2));
  return t(maySpare ? 'box_face' : 'box_face_only', size, rect.score.toFixed(2));
}
