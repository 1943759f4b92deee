// What the browser itself makes of files: small pictures for the list, and a JPEG of what the service does not read.

import { Problem } from './service.js';

// The file as the service can take it: where HEIC is not among what it reads, some browsers show it all the same.
export async function uprightFile(file, reads = []) {
  if (reads.includes('heic') || !(await isHeic(file))) return file;
  try {
    const bitmap = await createImageBitmap(file);
    return await drawn(bitmap, bitmap.width, bitmap.height, 'image/jpeg', 0.95);
  } catch {
    throw new Problem('heic');
  }
}

// At most `THUMBNAIL` pixels wide and high.
export async function thumbnail(blob) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
  const side = length => Math.max(1, Math.round(length * scale));
  return drawn(bitmap, side(bitmap.width), side(bitmap.height), 'image/webp', 0.8);
}

async function drawn(bitmap, width, height, type, quality) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.convertToBlob({ type, quality });
}

// By the brand in its first box (ISO 14496-12).
async function isHeic(file) {
  const head = new TextDecoder('latin1').decode(await file.slice(0, 12).arrayBuffer());
  return /^....ftyp(hei[cxmsv]|hev[cxms]|mif1|msf1)/s.test(head) && !/avi[fs]$/.test(head);
}

const THUMBNAIL = 120;
