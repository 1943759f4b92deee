// What is known of the open picture, and what can be done with it.

import { byId, h, icon, refill } from './dom.js';
import { showFaces } from './faces.js';
import { Settings } from './settings.js';
import { sentence } from './viewer.js';
import { t } from './words.js';

export class Inspector {
  constructor(album, viewer, { save }) {
    Object.assign(this, { album, viewer, save });
    this.settings = new Settings(byId('settings'), album);
    album.addEventListener('open', () => { this.show(); this.settings.show(); });
    album.addEventListener('change', event => event.detail === album.opened && this.show());
  }

  showAll() {
    this.show();
    this.settings.show();
  }

  show() {
    const picture = this.album.opened;
    byId('inspector').hidden = !picture;
    if (!picture) return;
    byId('name').textContent = picture.name || t('unnamed');
    this.#verdict(picture);
    this.showFaces();
    this.#removed(picture);
    this.#actions(picture);
  }

  showFaces() {
    const isClear = showFaces(byId('faces'), this.viewer);
    const parts = this.album.opened?.result?.report.source.parts ?? 1;
    const notes = [!isClear && t('spare_not_allowed'), parts > 1 && t('first_part', parts)].filter(Boolean);
    refill(byId('faces-notes'), notes.map(note => h('p', { class: 'about' }, note)));
  }

  // Every result says to look oneself.
  #verdict(picture) {
    const lines = [];
    if (picture.state === 'failed') lines.push(h('p', { class: 'bad' }, sentence(picture.problem, this.album.choices)));
    else if (picture.state !== 'done') lines.push(h('p', { class: 'quiet' }, t(picture.state)));
    else {
      const { faces, spared, regions, second_look: second } = picture.result.report;
      lines.push(h('p', { class: 'count' }, t('faces_hidden', faces.length)));
      if (regions.length) lines.push(h('p', {}, t('regions_hidden', regions.length)));
      if (spared.length) lines.push(h('p', { class: 'warn' }, t('faces_spared', spared.length)));
      if (second?.faces_added) lines.push(h('p', { class: 'quiet' }, t('second_look', second.faces_added)));
      lines.push(h('p', { class: 'look' }, t('look_yourself', picture.smallestFace)));
    }
    refill(byId('verdict'), lines);
  }

  #removed(picture) {
    const report = picture.state === 'done' ? picture.result.report : null;
    byId('removed-section').hidden = !report;
    if (!report) return;
    const kinds = Object.entries(report.removed ?? {});
    const items = kinds.map(([kind, count]) => h('li', {}, t(`removed_${kind}`), count > 1 ? ` × ${count}` : ''));
    refill(byId('removed'), items.length ? items : h('li', { class: 'quiet' }, t('removed_nothing')));
  }

  #actions(picture) {
    const button = (key, name, kind, work) => h('button', { type: 'button', class: kind, 'data-key': key, onclick: work }, icon(name), t(key));
    refill(byId('actions'),
      picture.state === 'done' && button('download', 'download', 'main', () => this.save(picture)),
      picture.state === 'failed' && picture.problem.mayPass && button('try_again', 'redo', '', () => this.album.send(picture, true)),
      button('remove', 'remove', 'plain', () => this.album.remove(picture)));
  }
}
