// Elements, made in one expression.

// `h('button', {class: 'quiet', onclick: work}, 'Draw')`. Properties that begin with `on` are listeners, those that are
// true or false are attributes that are there or not, and the rest are attributes as they are.
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

// One of the symbols that the document defines.
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

export const byId = id => document.getElementById(id);

// Gives `container` these children, and keyboard focus back to the one with the same `data-key` if it was within.
export function refill(container, ...children) {
  const within = container.contains(document.activeElement);
  const key = within && document.activeElement.closest('[data-key]')?.dataset.key;
  container.replaceChildren(...children.flat().filter(Boolean));
  if (!within) return;
  const again = key && container.querySelector(`[data-key="${CSS.escape(key)}"]`);
  (again || container.querySelector('button, input, select') || container).focus({ preventScroll: true });
}
