// What the page says, in the language of the browser or in the one that was chosen.

import en from './en.js';
import zh from './zh.js';

const LANGUAGES = { en, zh };
const TAGS = { en: 'en', zh: 'zh-CN' };
const REMEMBERED = 'veil-language';

let language = remembered() ?? ofBrowser();

export const current = () => language;

// A word is a text, or a function of what it speaks of.
export function t(key, ...values) {
  const word = LANGUAGES[language][key] ?? en[key];
  return typeof word === 'function' ? word(...values) : word ?? key;
}

export const has = key => key in en;

export const number = value => new Intl.NumberFormat(TAGS[language]).format(value);

// Bytes in words, as people say them.
export function bytes(count) {
  const mega = count / (1 << 20);
  return mega >= 1 ? `${number(Math.round(mega * 10) / 10)} MB` : `${number(Math.max(1, Math.round(count / 1024)))} kB`;
}

export function choose(chosen) {
  language = chosen;
  try { localStorage.setItem(REMEMBERED, chosen); } catch { /* a browser that keeps nothing */ }
  translate();
}

// The texts of the document itself: `data-t` is an element's text, `data-t-label` its name and its hint.
export function translate(root = document) {
  document.documentElement.lang = TAGS[language];
  document.title = t('title');
  for (const element of root.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll('[data-t-label]')) {
    element.setAttribute('aria-label', t(element.dataset.tLabel));
    if (element.matches('button, summary')) element.title = t(element.dataset.tLabel);
  }
}

function remembered() {
  try {
    const chosen = localStorage.getItem(REMEMBERED);
    return chosen in LANGUAGES ? chosen : null;
  } catch {
    return null;
  }
}

function ofBrowser() {
  const known = navigator.languages.map(tag => tag.slice(0, 2).toLowerCase()).find(tag => tag in LANGUAGES);
  return known ?? 'en';
}
