// The line between before and after: what was on its left, what is on its right.

import { t } from './words.js';

export class Compare {
  isOn = false;
  // Of the stage's width, from 0 to 100.
  #share = 50;

  constructor(stage) {
    this.stage = stage;
    this.divider = stage.element.querySelector('.divider');
    this.before = stage.element.querySelector('.before');
    this.after = stage.element.querySelector('.after');
    stage.addEventListener('view', () => this.#place());
    this.divider.addEventListener('pointerdown', event => this.divider.setPointerCapture(event.pointerId));
    this.divider.addEventListener('pointermove', event => this.#drag(event));
    this.divider.addEventListener('keydown', event => this.#key(event));
  }

  toggle(on = !this.isOn) {
    this.isOn = on;
    this.divider.hidden = !on;
    this.stage.element.classList.toggle('comparing', on);
    this.#place();
  }

  #drag(event) {
    if (!this.divider.hasPointerCapture(event.pointerId)) return;
    const { left, width } = this.stage.element.getBoundingClientRect();
    this.#move(100 * (event.clientX - left) / width);
  }

  #key(event) {
    const step = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.#move(this.#share + step);
  }

  #move(share) {
    this.#share = Math.min(100, Math.max(0, share));
    this.#place();
  }

  #place() {
    const { stage, divider, before, after } = this;
    divider.style.left = `${this.#share}%`;
    divider.setAttribute('aria-valuenow', Math.round(this.#share));
    divider.setAttribute('aria-valuetext', t('split', Math.round(this.#share)));
    if (!stage.size) return;
    const at = ((this.#share / 100) * stage.element.clientWidth - stage.x) / stage.scale;
    const inside = Math.min(stage.size.width, Math.max(0, at));
    before.style.clipPath = this.isOn ? `inset(0 ${stage.size.width - inside}px 0 0)` : '';
    after.style.clipPath = this.isOn ? `inset(0 0 0 ${inside}px)` : '';
  }
}
