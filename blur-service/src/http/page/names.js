// What results are called.

const ENDINGS = {
  'image/jpeg': 'jpg', 'image/png': 'png', 'image/webp': 'webp', 'image/avif': 'avif', 'image/gif': 'gif', 'image/tiff': 'tif', 'image/apng': 'png',
};

export function nameOf(picture) {
  const stem = picture.name.replace(/\.[^.]*$/, '').replace(/[\\/:*?"<>|\u0000-\u001f]/g, '_') || 'picture';
  return `${stem}-veiled.${ENDINGS[picture.result.blob.type] ?? 'bin'}`;
}

// The same names, made different where two were the same; upper and lower case are the same to some systems.
export function unique(names) {
  const taken = new Set();
  return names.map(name => {
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
    let free = name;
    for (let count = 2; taken.has(free.toLowerCase()); count++) free = `${stem} (${count})${ending ?? ''}`;
    taken.add(free.toLowerCase());
    return free;
  });
}
