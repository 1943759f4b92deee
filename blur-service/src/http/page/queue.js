// Pictures that wait to be sent: a few at a time, the one that is looked at first.

export class Queue {
  #waiting = [];
  #busy = 0;

  constructor(atOnce, work) {
    this.atOnce = atOnce;
    this.work = work;
  }

  push(picture, first = false) {
    this.drop(picture);
    if (first) this.#waiting.unshift(picture);
    else this.#waiting.push(picture);
    this.#next();
  }

  drop(picture) { this.#waiting = this.#waiting.filter(other => other !== picture); }

  async #next() {
    if (this.#busy >= this.atOnce || this.#waiting.length === 0) return;
    this.#busy += 1;
    await this.work(this.#waiting.shift());
    this.#busy -= 1;
    this.#next();
  }
}
