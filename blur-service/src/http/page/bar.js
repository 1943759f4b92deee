// The bar above: how far all pictures are, adding more, and having them all.

import { byId } from './dom.js';
import { nameOf, unique } from './names.js';
import { t } from './words.js';
import { volumes, zip } from './zip.js';

export class Bar {
  #said = '';

  constructor(album, { say }) {
    this.album = album;
    this.say = say;
    for (const event of ['list', 'change']) album.addEventListener(event, () => this.show());
    byId('download-all').addEventListener('click', () => this.#downloadAll());
    byId('clear').addEventListener('click', () => this.#clear());
  }

  show() {
    const { pictures } = this.album;
    const count = state => pictures.filter(picture => picture.state === state).length;
    const done = count('done'), failed = count('failed');
    const isOver = done + failed === pictures.length;
    const progress = byId('progress');
    progress.max = Math.max(1, pictures.length);
    progress.value = done + failed;
    const faces = pictures.reduce((sum, picture) => sum + (picture.state === 'done' ? picture.faces.length : 0), 0);
    byId('progress-text').textContent = isOver ? t('all_done', pictures.length, faces, failed) : t('some_done', done + failed, pictures.length);
    byId('overall').hidden = pictures.length === 0;
    byId('overall').classList.toggle('finished', isOver);
    for (const id of ['download-all', 'clear']) byId(id).hidden = pictures.length === 0;
    byId('download-all').disabled = done === 0;
    this.#announce(isOver && pictures.length > 0 ? byId('progress-text').textContent : '');
  }

  // Once when all is done, not for every picture.
  #announce(text) {
    if (text && text !== this.#said) this.say(text);
    this.#said = text;
  }

  async #downloadAll() {
    const done = this.album.pictures.filter(picture => picture.state === 'done');
    const names = unique(done.map(nameOf));
    const files = done.map((picture, index) => ({ name: names[index], blob: picture.result.blob }));
    const archives = volumes(files);
    for (const [index, archive] of archives.entries()) {
      save(await zip(archive), archives.length > 1 ? `veiled-${index + 1}.zip` : 'veiled.zip');
    }
  }

  #clear() {
    if (confirm(t('clear_really', this.album.pictures.length))) this.album.clear();
    byId('files').focus();
  }
}

// Gives the browser a file to keep.
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
