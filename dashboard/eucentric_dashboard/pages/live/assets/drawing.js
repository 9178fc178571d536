// How one frame is drawn: colours, place on the stage, positions, scale bar. Nothing here waits or asks.
const MAPS = {
  grey: "000000ffffff",
  viridis:
    "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725",
  inferno:
    "0000040b0724210c4a3d096557106e71196e8a226aa32c61bc3754d24644e45a31f1731df98e09fcac11f9cb35f2ea69fcffa4",
  cividis:
    "00224e002e6a1a386f32436d434e6c535a6d61656f6f70737d7c788c88789b9476aba072bcae6ccdbb63dec958f0d846fee838",
};
const RING_M = 75e-12;

// 256 colours, as a canvas stores them, for grey values 0 to 255.
export function lookUp(map, gamma) {
  const points = MAPS[map].match(/../g).map((two) => parseInt(two, 16));
  const steps = points.length / 3 - 1;
  const table = new Uint32Array(256);
  for (let grey = 0; grey < 256; grey++) {
    const at = Math.pow(grey / 255, gamma) * steps;
    const low = Math.min(steps - 1, Math.floor(at));
    const part = (channel) => {
      const from = points[3 * low + channel];
      return Math.round(from + (points[3 * low + 3 + channel] - from) * (at - low));
    };
    table[grey] = (255 << 24) | (part(2) << 16) | (part(1) << 8) | part(0);
  }
  return table;
}

// The picture in other colours, on `paper` or a new one; null where it is shown as it came.
export function coloured(picture, map, gamma, paper) {
  if (map === "grey" && gamma === 1) return null;
  const { width, height } = picture;
  const canvas = paper && paper.width === width && paper.height === height ? paper : new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  const values = new Uint32Array(pixels.data.buffer);
  const table = lookUp(map, gamma);
  for (let index = 0; index < values.length; index++) values[index] = table[values[index] & 255];
  context.putImageData(pixels, 0, 0);
  return canvas;
}

// Where a frame lies on the stage: scale (CSS pixels per pixel of the encoded image), its corner, and the centre as
// far as the frame reaches.
export function placed({ width, height }, { wide, high }, { zoom, centre }) {
  const scale = Math.min(wide / width, high / height) * zoom;
  const half = [wide / 2 / scale / width, high / 2 / scale / height];
  const held = centre.map((value, axis) =>
    half[axis] >= 0.5 ? 0.5 : Math.min(1 - half[axis], Math.max(half[axis], value)));
  return { scale, left: wide / 2 - held[0] * width * scale, top: high / 2 - held[1] * height * scale, centre: held };
}

export function drawFrame(canvas, frame, size, place, look) {
  const { wide, high, ratio } = size;
  const { scale, left, top } = place;
  const [across, down] = [Math.round(wide * ratio), Math.round(high * ratio)];
  if (canvas.width !== across || canvas.height !== down) { canvas.width = across; canvas.height = down; }
  const context = canvas.getContext("2d", { alpha: false });
  const { width, height } = frame.header;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (left > 0 || top > 0) context.fillRect(0, 0, wide, high);
  context.imageSmoothingEnabled = scale < 2.5;
  context.drawImage(frame.coloured || frame.picture, left, top, width * scale, height * scale);
  if (frame.layer && look.uncertainty) {
    context.globalAlpha = look.layerOpacity / 100;
    context.drawImage(frame.layer, left, top, width * scale, height * scale);
    context.globalAlpha = 1;
  }
  drawPositions(context, frame, size, place, look);
  drawBar(context, frame.header.pixel_size_m, size, scale);
}

function drawPositions(context, { rows, header }, { wide, high }, { scale, left, top }, { opacity, hidden, colours }) {
  if (!opacity || !rows.length) return;
  if (header.chip_px) { drawChips(context, { rows, header }, { scale, left, top }, { opacity, hidden, colours }); return; }
  const size = header.pixel_size_m ? RING_M / header.pixel_size_m : 6;
  const radius = Math.min(40, Math.max(2.5, size * scale));
  context.globalAlpha = opacity / 100;
  context.lineWidth = Math.min(2.5, Math.max(1.2, radius / 4));
  const paths = new Map();
  for (let at = 0; at < rows.length; at += 4) {
    const kind = rows[at + 2];
    if (hidden[kind]) continue;
    const x = left + (rows[at] / 16) * scale, y = top + (rows[at + 1] / 16) * scale;
    if (x < -radius || y < -radius || x > wide + radius || y > high + radius) continue;
    let path = paths.get(kind);
    if (!path) paths.set(kind, (path = new Path2D()));
    path.moveTo(x + radius, y);
    path.arc(x, y, radius, 0, 2 * Math.PI);
  }
  for (const [kind, path] of paths) {
    context.strokeStyle = colours[kind % colours.length];
    context.stroke(path);
  }
  context.globalAlpha = 1;
}

// Of chips a class is an area: the surer, the denser.
function drawChips(context, { rows, header }, { scale, left, top }, { opacity, hidden, colours }) {
  const side = header.chip_px * scale;
  for (let at = 0; at < rows.length; at += 4) {
    if (hidden[rows[at + 2]]) continue;
    context.globalAlpha = (opacity / 100) * (0.15 + 0.3 * (rows[at + 3] / 65535));
    context.fillStyle = colours[rows[at + 2] % colours.length];
    context.fillRect(left + (rows[at] / 16) * scale - side / 2, top + (rows[at + 1] / 16) * scale - side / 2, side, side);
  }
  context.globalAlpha = 1;
}

// Without a pixel size there is no bar: it is never guessed.
function drawBar(context, pixel_size_m, { wide, high }, scale) {
  if (!pixel_size_m) return;
  const length = niceLength(0.25 * wide * pixel_size_m / scale);
  const pixels = length * scale / pixel_size_m;
  const text = length < 1e-9 ? `${+(length * 1e12).toPrecision(3)} pm`
    : length < 1e-6 ? `${+(length * 1e9).toPrecision(3)} nm` : `${+(length * 1e6).toPrecision(3)} µm`;
  context.fillStyle = "rgba(0, 0, 0, 0.6)";
  context.beginPath();
  context.roundRect(12, high - 48, pixels + 20, 36, 5);
  context.fill();
  context.fillStyle = "#fff";
  context.fillRect(22, high - 22, pixels, 5);
  context.font = "600 14px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(text, 22 + pixels / 2, high - 28);
  context.fillStyle = "#000";
}

function niceLength(limit) {
  const decade = Math.pow(10, Math.floor(Math.log10(limit)));
  return [5, 2, 1].map((step) => step * decade).find((length) => length <= limit * (1 + 1e-9));
}
