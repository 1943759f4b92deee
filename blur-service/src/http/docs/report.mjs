// What was found, done and left behind, with the picture inside.
import { readFile, writeFile } from 'node:fs/promises';

const answer = await fetch('http://127.0.0.1:8080/v1/blur/report', { method: 'POST', body: await readFile('photo.jpg') });
const report = await answer.json();
console.log(report.faces.length, 'faces hidden; left behind:', report.removed);
await writeFile('out.jpg', Buffer.from(report.picture.base64, 'base64'));
