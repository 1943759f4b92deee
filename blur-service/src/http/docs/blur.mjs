// Every face, and the corner that the detector cannot know of. For Node; in a browser the picture is a File.
import { readFile, writeFile } from 'node:fs/promises';

const form = new FormData();
form.append('image', new Blob([await readFile('photo.jpg')]), 'photo.jpg');
form.append('options', JSON.stringify({ effect: 'solid', regions: [{ x: 0, y: 0, width: 64, height: 64 }] }));
const answer = await fetch('http://127.0.0.1:8080/v1/blur', { method: 'POST', body: form });
if (!answer.ok) {
  const problem = await answer.json();
  throw new Error(`${problem.code}: ${problem.detail}`);
}
console.log(answer.headers.get('x-faces'), 'faces hidden');
await writeFile('out.jpg', new Uint8Array(await answer.arrayBuffer()));
