// What a person changed in one picture, step by step, to be undone and done again.

const NOTHING = Object.freeze({ regions: [], exclude: [], options: {} });

export class History {
  #past = [NOTHING];
  #future = [];

  get now() { return this.#past.at(-1); }
  get canUndo() { return this.#past.length > 1; }
  get canRedo() { return this.#future.length > 0; }
  get isByHand() { return this.now.regions.length > 0 || this.now.exclude.length > 0; }

  // `change` names what is different; the rest stays.
  change(change) {
    this.#past.push(Object.freeze({ ...this.now, ...change }));
    this.#future = [];
  }

  undo() { if (this.canUndo) this.#future.push(this.#past.pop()); }
  redo() { if (this.canRedo) this.#past.push(this.#future.pop()); }
}
