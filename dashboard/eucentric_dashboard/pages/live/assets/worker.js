// The live image of one viewer, off the page's own thread. Frames come over a websocket one at a time: each is drawn
// with the browser's next frame and only then another asked for, so that a slow viewer skips frames and holds nobody
// up. The page is told twice a second what to write beside the image; what is drawn does not pass through it.
import { coloured, drawFrame, placed } from "./drawing.js";

const TOLD_EVERY_MS = 500;
const RATE_OVER_MS = 2000;
const MAX_ZOOM = 32;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 2000;

const look = { opacity: 90, layerOpacity: 80, uncertainty: false, contrast: "normal", gamma: 1, map: "grey", hidden: {},
               colours: ["#fff"], frozen: false };
const size = { wide: 0, high: 0, ratio: 1 };
const view = { zoom: 1, centre: [0.5, 0.5] };
const counted = { drawn: 0, drawnAt: 0, dropped: 0, times: [], session: null, sequence: null };
let canvas = null, address = null, socket = null, frame = null, paper = null;
let shown = true, connected = false, retryMs = FIRST_RETRY_MS, arrived = 0, ageThere = 0, anyFrame = true;

const orders = {
  start(order) { canvas = order.canvas; address = order.address; setInterval(tell, TOLD_EVERY_MS); connect(); },
  size(order) { Object.assign(size, order.size); draw(); },
  look(order) {
    const before = { ...look };
    Object.assign(look, order.look);
    if (before.contrast !== look.contrast || before.uncertainty !== look.uncertainty) choose();
    if (frame && !look.uncertainty) letGo(frame, "layer");
    if (frame && (before.map !== look.map || before.gamma !== look.gamma)) recolour();
    draw();
    tell();
  },
  move({ by }) {
    if (!frame) return;
    const { scale } = placed(frame.header, size, view);
    view.centre = [view.centre[0] - by[0] / scale / frame.header.width, view.centre[1] - by[1] / scale / frame.header.height];
    draw();
  },
  zoom({ factor, at }) {
    if (!frame) return;
    const [x, y] = at || [size.wide / 2, size.high / 2];
    const { width, height } = frame.header;
    const before = placed(frame.header, size, view);
    const place = [(x - before.left) / before.scale, (y - before.top) / before.scale];
    view.zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
    const scale = Math.min(size.wide / width, size.high / height) * view.zoom;
    view.centre = [(place[0] + (size.wide / 2 - x) / scale) / width, (place[1] + (size.high / 2 - y) / scale) / height];
    draw();
    tell();
  },
  whole() { view.zoom = 1; view.centre = [0.5, 0.5]; draw(); tell(); },
  // A tab that nobody sees takes no frames.
  seen({ seen }) {
    if (seen === shown) return;
    shown = seen;
    if (shown) { retryMs = FIRST_RETRY_MS; connect(); } else if (socket) socket.close();
  },
};

onmessage = ({ data }) => orders[data.order](data);

function connect() {
  if (!shown || (socket && socket.readyState < 2)) return;
  const mine = (socket = new WebSocket(address));
  mine.binaryType = "arraybuffer";
  mine.onopen = () => { connected = true; retryMs = FIRST_RETRY_MS; choose(); };
  mine.onclose = () => {
    if (mine !== socket) return;
    connected = false;
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 1.6);
    setTimeout(connect, retryMs);
  };
  mine.onmessage = ({ data }) => {
    if (typeof data === "string") { age(JSON.parse(data).age_s); return; }
    take(data).finally(() => { if (mine.readyState === 1) mine.send("drawn"); });
  };
}

function choose() {
  if (socket && socket.readyState === 1)
    socket.send(JSON.stringify({ contrast: look.contrast, uncertainty: look.uncertainty }));
}

function age(age_s) {
  arrived = performance.now();
  ageThere = age_s === null ? 0 : age_s;
  anyFrame = age_s !== null;
}

async function take(data) {
  const bytes = new DataView(data);
  const waited_s = bytes.getFloat32(0, true), length = bytes.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, length)));
  let at = 8 + length;
  const part = (count) => { at += count; return new Uint8Array(data, at - count, count); };
  const rows = new Uint16Array(part(header.rows_bytes).slice().buffer);
  const decoded = (piece, type) => createImageBitmap(new Blob([piece], { type }));
  const picture = await decoded(part(header.image_bytes), "image/jpeg");
  const layer = header.layer_bytes ? await decoded(part(header.layer_bytes), "image/png") : null;
  count(header);
  age(header.age_s + waited_s);
  const came = { header, rows, picture, layer, coloured: null };
  if (look.frozen) {
    letGo(came, "picture");
    letGo(came, "layer");
    await new Promise((later) => setTimeout(later, TOLD_EVERY_MS));
    return;
  }
  const first = frame === null;
  if (frame) { letGo(frame, "picture"); letGo(frame, "layer"); }
  frame = came;
  recolour();
  await new Promise((next) => requestAnimationFrame(next));
  draw();
  counted.drawn++;
  counted.drawnAt = performance.now();
  counted.times.push(counted.drawnAt);
  if (first) tell();
}

function letGo(of, name) {
  if (of[name]) of[name].close();
  of[name] = null;
}

function count({ session, sequence }) {
  if (counted.session === session && sequence > counted.sequence) counted.dropped += sequence - counted.sequence - 1;
  Object.assign(counted, { session, sequence });
}

function recolour() {
  frame.coloured = coloured(frame.picture, look.map, look.gamma, paper);
  paper = frame.coloured || paper;
}

function draw() {
  if (!frame || !frame.picture || !size.wide || !size.high) return;
  const place = placed(frame.header, size, view);
  view.centre = place.centre;
  drawFrame(canvas, frame, size, place, look);
}

function tell() {
  const now = performance.now();
  counted.times = counted.times.filter((time) => now - time < RATE_OVER_MS);
  const header = frame ? frame.header : null;
  postMessage({
    drawn: counted.drawn, drawnAt: counted.drawnAt, dropped: counted.dropped,
    rate: counted.times.length / (RATE_OVER_MS / 1000),
    connected, anyFrame, zoom: view.zoom, age: header ? ageThere + (now - arrived) / 1000 : 0,
    caption: header ? header.caption : "", counts: header ? header.counts : [],
    aspect: header ? `${header.width} / ${header.height}` : null,
  });
}
