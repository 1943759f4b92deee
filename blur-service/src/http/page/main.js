// The page: what a person may do here, put together.

import { Album } from './album.js';
import { Bar, save } from './bar.js';
import { byId } from './dom.js';
import { Inspector } from './inspector.js';
import { List } from './list.js';
import { nameOf } from './names.js';
import { choices } from './service.js';
import { Viewer } from './viewer.js';
import { choose, current, t, translate } from './words.js';

translate();
byId('language').value = current();
start(await patiently(choices));

function start(known) {
  const album = new Album(known);
  const list = new List(album);
  const bar = new Bar(album, { say });
  const viewer = new Viewer(album, { say, chosen: () => inspector.showFaces() });
  const inspector = new Inspector(album, viewer, { save: picture => save(picture.result.blob, nameOf(picture)) });
  takeFiles(files => {
    const isFirst = album.pictures.length === 0;
    const [first] = album.add(files);
    // A small screen shows the list first, unless there is but one.
    if (first && isFirst && (isWide() || album.pictures.length === 1)) album.open(first);
  });
  album.addEventListener('list', () => show(album));
  album.addEventListener('open', () => show(album));
  byId('back').addEventListener('click', () => {
    const { opened } = album;
    album.open(null);
    byId(opened?.id)?.querySelector('.row').focus();
  });
  for (const input of document.querySelectorAll('input[name=filter]')) input.addEventListener('change', () => list.choose(input.value));
  byId('picture-next').addEventListener('click', () => album.openNext(1, list.passes));
  byId('picture-previous').addEventListener('click', () => album.openNext(-1, list.passes));
  byId('language').addEventListener('change', event => {
    choose(event.target.value);
    list.refresh();
    bar.show();
    viewer.show();
    inspector.showAll();
  });
  addEventListener('keydown', event => travel(event, album));
  addEventListener('beforeunload', event => { if (album.pictures.some(picture => picture.isByHand)) event.preventDefault(); });
  inspector.showAll();
  show(album);
  document.documentElement.dataset.ready = '';
}

function show(album) {
  document.body.dataset.view = album.pictures.length === 0 ? 'welcome' : album.opened ? 'picture' : 'list';
}

// Undo and redo as everywhere.
function travel(event, album) {
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || !album.opened || event.target.closest('input[type=text], textarea')) return;
  if (key === 'z' && !event.shiftKey) album.undo(album.opened);
  else if (key === 'y' || key === 'z') album.redo(album.opened);
  else return;
  event.preventDefault();
}

// By choosing, dropping and pasting.
function takeFiles(add) {
  for (const id of ['files', 'more-files']) {
    byId(id).addEventListener('change', event => {
      add(event.target.files);
      event.target.value = '';
    });
  }
  addEventListener('paste', event => add(event.clipboardData.files));
  const over = on => document.body.classList.toggle('dropping', on);
  addEventListener('dragover', event => { event.preventDefault(); over(true); });
  addEventListener('dragleave', event => { if (!event.relatedTarget) over(false); });
  addEventListener('drop', event => {
    event.preventDefault();
    over(false);
    add(event.dataTransfer.files);
  });
}

// To who does not see.
function say(text) {
  const line = byId('said');
  line.textContent = '';
  requestAnimationFrame(() => { line.textContent = text; });
}

const isWide = () => matchMedia('(min-width: 60rem)').matches;

// A service that starts will answer soon.
async function patiently(ask) {
  for (;;) {
    try {
      const answer = await ask();
      byId('unreachable').hidden = true;
      return answer;
    } catch {
      byId('unreachable').hidden = false;
      byId('unreachable').textContent = t('problem_unreachable');
      await new Promise(done => setTimeout(done, 1000));
    }
  }
}
