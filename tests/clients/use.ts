// What a program does with the types that openapi-typescript makes: find, hide, report, fail.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import createClient from 'openapi-fetch';
import type { components, paths } from './veil.js';

const [address, path] = process.argv.slice(2);
const picture = new Blob([await readFile(path)]);
const client = createClient<paths>({ baseUrl: address });

type Form = components['schemas']['Form'];

// Binary fields are `string` in the types, since JSON Schema has no other word.
const form = (fields: Omit<Form, 'image'>, image = picture) => ({
  body: { image: '', ...fields } as Form,
  bodySerializer: (body: unknown) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(body as Form)) {
      if (name !== 'image') data.append(name, typeof value === 'string' ? value : JSON.stringify(value));
    }
    data.append('image', image);
    return data;
  },
});

const found = await client.POST('/v1/detect', form({}));
assert.equal(found.data?.faces.length, 1);
const regions = [{ x: 10, y: 300, width: 60, height: 40 }];
const hidden = await client.POST('/v1/blur', { ...form({ options: { regions, effect: 'solid' } }), parseAs: 'arrayBuffer' as const });
assert.equal(hidden.response.headers.get('x-faces'), '1');
assert.ok(hidden.data && hidden.data.byteLength > 1000);
const told = await client.POST('/v1/blur/report', form({ regions: '10,300,60,40' }));
assert.equal(told.data?.regions[0].width, 60);
const offered = await client.GET('/v1/options');
assert.ok(offered.data?.effect.allowed?.includes('solid'));
const failed = await client.POST('/v1/blur', form({}, new Blob(['no picture'])));
assert.equal(failed.error?.code, 'unsupported_format');
