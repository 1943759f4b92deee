// Draws the reference from the OpenAPI document.

import { byId, h } from '../page/dom.js';

const LANGUAGES = { sh: 'curl', py: 'Python', mjs: 'JavaScript' };
const EXAMPLES = ['blur', 'report', 'detect'];

const api = await (await fetch('openapi.json')).json();
byId('about').replaceChildren(...marked(api.info.description));
const operations = Object.entries(api.paths)
  .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
  // Operators' routes, which a proxy keeps to itself, and what pages are made of.
  .filter(({ operation }) => !operation['x-internal']);
byId('contents').replaceChildren(...operations.map(({ path, method, operation }) =>
  h('a', { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`)));
byId('paths').replaceChildren(...operations.map(section));
byId('parameters').replaceChildren(table(['Name', 'Type', 'Meaning'],
  Object.values(api.components.parameters).map(({ name, in: place, schema, description }) =>
    [h('span', {}, h('code', {}, name), place === 'header' ? ' (header)' : ''), typeOf(schema), marked(description)])));
byId('schema-list').replaceChildren(...Object.entries(api.components.schemas).map(schemaSection));
for (const name of EXAMPLES) show(name);
document.documentElement.dataset.ready = '';

function section({ path, method, operation }) {
  return h('section', { class: 'operation' },
    h('h2', { id: operation.operationId }, h('span', { class: 'method' }, method.toUpperCase()), ` ${path}`),
    h('p', {}, h('strong', {}, operation.summary)),
    operation.description && h('p', {}, marked(operation.description)),
    EXAMPLES.includes(operation.operationId) && h('div', { id: `example-${operation.operationId}` }),
    h('h3', {}, 'Answers'),
    table(['Status', 'Body', 'Meaning'], Object.entries(operation.responses).map(([status, response]) => {
      const { description, content = {} } = resolved(response);
      return [status === 'default' ? 'else' : status, Object.keys(content).map(type => h('div', {}, h('code', {}, type))), marked(description)];
    })));
}

function schemaSection([name, schema]) {
  const required = new Set(schema.required ?? []);
  return h('section', {},
    h('h3', { id: `schema-${name}` }, name),
    schema.description && h('p', {}, marked(schema.description)),
    h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': name }, table(['Member', 'Type', 'Meaning'],
      Object.entries(schema.properties ?? {}).map(([member, value]) =>
        [h('span', {}, h('code', {}, member), required.has(member) ? '' : ' (perhaps)'), typeOf(value), marked(value.description ?? '')]))));
}

// The example in one language, and buttons for the others.
async function show(name, language = 'sh') {
  const text = await (await fetch(`v1/docs/${name}.${language}`)).text();
  const tabs = Object.entries(LANGUAGES).map(([key, label]) =>
    h('button', { type: 'button', 'aria-pressed': String(key === language), onclick: () => show(name, key) }, label));
  const example = text.replaceAll('http://127.0.0.1:8080', location.origin);
  const container = byId(`example-${name}`);
  const within = container.contains(document.activeElement);
  container.replaceChildren(h('div', { class: 'tabs' }, tabs), h('pre', { tabindex: 0 }, h('code', {}, example)));
  if (within) container.querySelector('[aria-pressed=true]').focus();
}

function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1);
    return h('a', { href: `#schema-${name}` }, name);
  }
  if (schema.enum) return schema.enum.flatMap((value, index) => [index ? ' ' : '', h('code', {}, value)]);
  if (schema.oneOf) return schema.oneOf.flatMap((kind, index) => [index ? ' or ' : '', typeOf(kind)]).flat();
  if (schema.type === 'array') return ['array of ', typeOf(schema.items)].flat();
  const bounds = [schema.minimum, schema.maximum].some(bound => bound !== undefined)
    ? `, ${schema.minimum ?? ''}…${schema.maximum ?? ''}` : '';
  return `${schema.type ?? 'any'}${schema.format ? ` (${schema.format})` : ''}${bounds}`;
}

function table(heads, rows) {
  return h('table', {},
    h('thead', {}, h('tr', {}, heads.map(head => h('th', { scope: 'col' }, head)))),
    h('tbody', {}, rows.map(row => h('tr', {}, row.map(cell => h('td', {}, cell))))));
}

// What a reference refers to.
function resolved(value) {
  if (!value.$ref) return value;
  return value.$ref.slice(2).split('/').reduce((at, key) => at[key], api);
}

// Text whose parts between backticks are code.
function marked(text) {
  return text.split('`').map((part, index) => index % 2 ? h('code', {}, part) : part);
}
