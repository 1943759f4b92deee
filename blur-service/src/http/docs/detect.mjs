import { readFile } from 'node:fs/promises';

const answer = await fetch('http://127.0.0.1:8080/v1/detect', { method: 'POST', body: await readFile('photo.jpg') });
for (const { x, y, width, height, score } of (await answer.json()).faces) console.log(x, y, width, height, score);
