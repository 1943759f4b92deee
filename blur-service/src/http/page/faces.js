// The boxes of the open picture as a list: everything that can be done upon the picture can be done here too.

import { tagOf } from './boxes.js';
import { h, icon, refill } from './dom.js';
import { t } from './words.js';

export function showFaces(container, viewer) {
  const { marks, maySpare } = viewer;
  refill(container, marks.map((mark, index) => row(mark, index, viewer)));
  container.hidden = marks.length === 0;
  // Within the list alone: the page itself stays where it is.
  const chosen = container.querySelector('.chosen');
  if (chosen) container.scrollTop = Math.min(chosen.offsetTop, Math.max(container.scrollTop, chosen.offsetTop + chosen.offsetHeight - container.clientHeight));
  return maySpare || !marks.some(mark => mark.kind === 'face');
}

function row(mark, index, viewer) {
  const isChosen = mark.key === viewer.chosen;
  const { width, height } = mark.rect;
  return h('li', { class: `face-row ${mark.kind}${isChosen ? ' chosen' : ''}` },
    h('button', {
      type: 'button', class: 'face-go', 'data-key': `go-${mark.key}`, 'aria-current': isChosen ? 'true' : null,
      onclick: () => viewer.choose(mark, true),
    },
    h('span', { class: 'unseen' }, `${index + 1}. ${t(`kind_${mark.kind}`)} `),
    h('span', { class: 'swatch', 'aria-hidden': 'true' }),
    h('span', { class: 'face-size' }, t('size', Math.round(width), Math.round(height))),
    h('span', { class: 'face-tag' }, tagOf(mark))),
    ...actions(mark, index, viewer));
}

function actions(mark, index, viewer) {
  if (mark.kind === 'region') {
    return [
      action('edit', `edit-${mark.key}`, t('move_region', index + 1), () => viewer.draw(mark.rect)),
      action('remove', `remove-${mark.key}`, t('remove_region', index + 1), () => viewer.removeRegion(mark.rect)),
    ];
  }
  if (!viewer.maySpare) return [];
  const [name, label] = mark.kind === 'spared' ? ['hide', t('hide_face', index + 1)] : ['spare', t('spare_face', index + 1)];
  return [action(name, `spare-${index}`, label, () => viewer.spare(mark))];
}

function action(name, key, label, work) {
  return h('button', { type: 'button', class: 'icon-only', 'data-key': key, 'aria-label': label, title: label, onclick: work }, icon(name));
}
