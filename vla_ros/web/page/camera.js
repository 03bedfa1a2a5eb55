// The camera's picture, with the attention over that very picture.

export function decodeCells(text) {
  return Uint8ClampedArray.from(atob(text), (character) => character.charCodeAt(0));
}

export async function drawCamera(canvas, snapshot, withHeat, wordIndex, palette) {
  const image = new Image();
  image.src = snapshot.picture;
  await image.decode();
  canvas.style.aspectRatio = `${image.width} / ${image.height}`;
  canvas.height = Math.round((canvas.width * image.height) / image.width);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  if (withHeat && snapshot.attention) {
    const word = snapshot.attention.words[wordIndex];
    const heat = heatMap(snapshot.attention, word ? word.cells : snapshot.attention.cells, palette);
    context.drawImage(heat, 0, 0, canvas.width, canvas.height);
  }
}

// One pixel a cell; drawing it larger smooths it.
function heatMap(attention, cells, palette) {
  const { rows, columns } = attention;
  const heat = new ImageData(columns, rows);
  decodeCells(cells).forEach((share, i) => {
    heat.data.set(palette.subarray(4 * share, 4 * share + 4), 4 * i);
  });
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext('2d').putImageData(heat, 0, 0);
  return canvas;
}
