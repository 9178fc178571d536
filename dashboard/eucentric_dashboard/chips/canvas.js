// An image with a grid of chips over it. Draws and answers at once; the page is told afterwards.
// Positions are in pixels of the image, y before x; a chip is [row, column].

const TAG_PX = 15; // of a label's corner tag, in pixels of the screen
const LEAST_LINE_PX = 5; // grid lines that are nearer to each other are not drawn
const MOST_ZOOM = 16;

export default {
  template: `
    <div ref="frame" class="chip-canvas" :style="{ aspectRatio: width + ' / ' + height }"
         role="application" tabindex="0" :aria-label="label" aria-roledescription="image with a grid of chips"
         :data-chips="chips.length" :data-map="map ? map.version : ''" :data-zoom="zoom.toFixed(2)"
         @keydown="onKey" @focus="focused = true; draw()" @blur="focused = false; draw()">
      <div class="chip-canvas-inner" :style="inner">
        <img ref="image" :src="src" draggable="false" alt="" :style="{ imageRendering: zoom > 2 ? 'pixelated' : 'auto' }"/>
      </div>
      <canvas ref="canvas"
              @pointerdown.prevent="onDown" @pointermove="onMove" @pointerup="onUp" @pointercancel="onUp"
              @pointerleave="hover = null; draw()" @wheel="onWheel" @contextmenu.prevent></canvas>
      <div class="chip-canvas-told" aria-live="polite">{{ told }}</div>
    </div>
  `,
  props: {
    src: String,
    width: Number,
    height: Number,
    grid: Object, // {side, top, left, rows, columns}
    classes: Array, // [{key, name, colour}]
    chips: Array, // [[row, column, key], ...]
    current: Number,
    map: Object, // null or {version, side, top, left, rows, columns, ids, strengths, colours, names}
    opacity: Number,
    lines: Boolean,
    paints: Boolean, // labels are given; otherwise a place is picked
    picked: Array, // null or [row, column]
    pixel_nm: Number, // null where it is unknown
    label: String,
  },
  data() {
    // The key that was pressed counts at once, before the page has heard of it.
    return { zoom: 1, pan: [0, 0], hover: null, cursor: [0, 0], focused: false, told: "", active: this.current };
  },
  created() {
    // What was painted here and not yet confirmed: place -> key, or 0 for none.
    this.pending = new Map();
    this.drag = null;
  },
  mounted() {
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.$refs.frame);
    this.onWindowKey = (event) => this.onShortcut(event);
    window.addEventListener("keydown", this.onWindowKey);
    this.draw();
  },
  unmounted() {
    this.watcher.disconnect();
    window.removeEventListener("keydown", this.onWindowKey);
  },
  watch: {
    chips() {
      if (!this.drag) this.pending.clear();
      this.draw();
    },
    grid() {
      this.pending.clear();
      this.cursor = [Math.min(this.cursor[0], this.grid.rows - 1), Math.min(this.cursor[1], this.grid.columns - 1)];
      this.draw();
    },
    src() {
      this.zoom = 1;
      this.pan = [0, 0];
      this.draw();
    },
    map: "draw",
    opacity: "draw",
    lines: "draw",
    classes: "draw",
    picked: "draw",
    current(key) {
      this.active = key;
    },
  },
  computed: {
    inner() {
      return { transform: `translate(${this.pan[1]}px, ${this.pan[0]}px) scale(${this.zoom})`, transformOrigin: "0 0" };
    },
  },
  methods: {
    // ---- geometry
    scale() {
      return (this.$refs.frame.clientWidth / this.width) * this.zoom;
    },
    place(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      const scale = this.scale();
      const x = (event.clientX - box.left - this.pan[1]) / scale;
      const y = (event.clientY - box.top - this.pan[0]) / scale;
      const g = this.grid;
      const row = Math.floor((y - g.top) / g.side);
      const column = Math.floor((x - g.left) / g.side);
      return row >= 0 && column >= 0 && row < g.rows && column < g.columns ? [row, column] : null;
    },
    keyAt(row, column) {
      const own = this.pending.get(row + "," + column);
      if (own !== undefined) return own;
      const chip = this.chips.find((one) => one[0] === row && one[1] === column);
      return chip ? chip[2] : 0;
    },
    // ---- labelling
    onDown(event) {
      this.$refs.frame.focus({ preventScroll: true });
      if (event.button === 1 || event.shiftKey) {
        this.drag = { pan: [event.clientX, event.clientY] };
      } else {
        const at = this.place(event);
        if (!at) return;
        this.cursor = at;
        if (!this.paints) {
          this.$emit("pick", { place: at });
          return;
        }
        const clears = event.button === 2 || event.altKey || this.keyAt(...at) === this.active;
        this.drag = { key: clears ? 0 : this.active, places: [], last: at };
        this.paint(at);
      }
      this.$refs.canvas.setPointerCapture(event.pointerId);
    },
    onMove(event) {
      if (this.drag && this.drag.pan) {
        this.pan = [this.pan[0] + event.clientY - this.drag.pan[1], this.pan[1] + event.clientX - this.drag.pan[0]];
        this.drag.pan = [event.clientX, event.clientY];
        this.keepInside();
        return;
      }
      this.hover = this.place(event);
      if (this.drag && this.hover) {
        // A fast pointer skips chips; the line between two places does not.
        const [from, to] = [this.drag.last, this.hover];
        const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
        for (let step = 1; step <= steps; step++) {
          this.paint([0, 1].map((axis) => Math.round(from[axis] + ((to[axis] - from[axis]) * step) / steps)));
        }
        this.drag.last = to;
      }
      this.draw();
    },
    onUp(event) {
      const drag = this.drag;
      this.drag = null;
      if (this.$refs.canvas.hasPointerCapture(event.pointerId)) this.$refs.canvas.releasePointerCapture(event.pointerId);
      if (drag && drag.places && drag.places.length) {
        this.$emit("paint", { places: drag.places, key: drag.key || null });
        this.tell(drag.places.length > 1 ? drag.places.length + " chips" : this.nameOf(drag.places[0]), drag.key);
      }
    },
    paint(at) {
      const name = at[0] + "," + at[1];
      if (this.keyAt(...at) === this.drag.key) return;
      this.pending.set(name, this.drag.key);
      this.drag.places.push(at);
      this.draw();
    },
    nameOf(at) {
      return `row ${at[0] + 1}, column ${at[1] + 1}`;
    },
    tell(what, key) {
      const one = this.classes.find((other) => other.key === key);
      this.told = `${what}: ${one ? one.name : "no label"}`;
    },
    // ---- keys
    onShortcut(event) {
      if (!this.paints || event.target.closest("input, textarea, select, [contenteditable], .q-dialog")) return;
      if ((event.ctrlKey || event.metaKey) && !event.altKey) {
        const key = event.key.toLowerCase();
        if (key === "z" || key === "y") {
          event.preventDefault();
          this.$emit(key === "y" || event.shiftKey ? "redo" : "undo", {});
        }
        return;
      }
      const key = Number(event.key);
      if (event.altKey || !this.classes.some((one) => one.key === key)) return;
      this.active = key;
      this.$emit("choose", { key });
    },
    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (step) {
        event.preventDefault();
        const g = this.grid;
        this.cursor = [
          Math.min(Math.max(this.cursor[0] + step[0], 0), g.rows - 1),
          Math.min(Math.max(this.cursor[1] + step[1], 0), g.columns - 1),
        ];
        this.tell(this.nameOf(this.cursor), this.keyAt(...this.cursor));
        this.draw();
        return;
      }
      const gives = event.key === " " || event.key === "Enter";
      const clears = event.key === "Delete" || event.key === "Backspace";
      if (!gives && !clears) return;
      event.preventDefault();
      if (!this.paints) {
        if (gives) this.$emit("pick", { place: [...this.cursor] });
        return;
      }
      const key = clears || this.keyAt(...this.cursor) === this.active ? 0 : this.active;
      this.pending.set(this.cursor[0] + "," + this.cursor[1], key);
      this.$emit("paint", { places: [[...this.cursor]], key: key || null });
      this.tell(this.nameOf(this.cursor), key);
      this.draw();
    },
    // ---- zoom
    onWheel(event) {
      const zoom = Math.min(Math.max(this.zoom * Math.exp(-event.deltaY / 400), 1), MOST_ZOOM);
      if (zoom === this.zoom) return; // at its end the page scrolls
      event.preventDefault();
      const box = this.$refs.canvas.getBoundingClientRect();
      const at = [event.clientY - box.top, event.clientX - box.left];
      this.pan = [0, 1].map((axis) => at[axis] - ((at[axis] - this.pan[axis]) * zoom) / this.zoom);
      this.zoom = zoom;
      this.keepInside();
    },
    keepInside() {
      const frame = this.$refs.frame;
      const most = [frame.clientHeight * (1 - this.zoom), frame.clientWidth * (1 - this.zoom)];
      this.pan = this.pan.map((value, axis) => Math.min(0, Math.max(most[axis], value)));
      this.draw();
    },
    // ---- drawing
    draw() {
      if (this.due) return;
      this.due = requestAnimationFrame(() => {
        this.due = null;
        if (this.$refs.canvas) this.drawNow();
      });
    },
    drawNow() {
      const { frame, canvas } = this.$refs;
      const ratio = window.devicePixelRatio || 1;
      const size = [frame.clientWidth * ratio, frame.clientHeight * ratio].map(Math.round);
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      const paper = canvas.getContext("2d");
      paper.setTransform(1, 0, 0, 1, 0, 0);
      paper.clearRect(0, 0, ...size);
      paper.setTransform(ratio, 0, 0, ratio, this.pan[1] * ratio, this.pan[0] * ratio);
      const scale = this.scale();
      if (this.map) this.drawMap(paper, scale);
      if (this.lines) this.drawLines(paper, scale);
      this.drawLabels(paper, scale);
      if (this.hover) this.outline(paper, scale, this.hover, "rgba(255,255,255,.8)", [], 1.5);
      if (this.picked) this.outline(paper, scale, this.picked, "#ffffff", [], 3);
      if (this.focused) this.outline(paper, scale, this.cursor, "#ffffff", [4, 3], 2);
      paper.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.drawScaleBar(paper, scale);
    },
    drawMap(paper, scale) {
      const m = this.map;
      const side = m.side * scale;
      const hatch = m.names.indexOf("none of these");
      for (let index = 0; index < m.ids.length; index++) {
        const id = m.ids[index];
        if (id < 0) continue;
        const x = (m.left + (index % m.columns) * m.side) * scale;
        const y = (m.top + Math.floor(index / m.columns) * m.side) * scale;
        paper.globalAlpha = (this.opacity * m.strengths[index]) / 255;
        paper.fillStyle = m.colours[id];
        paper.fillRect(x, y, side, side);
        if (id === hatch) {
          paper.globalAlpha = Math.min(1, this.opacity + 0.2);
          paper.strokeStyle = "#ffffff";
          paper.lineWidth = 1;
          paper.beginPath();
          paper.moveTo(x, y + side);
          paper.lineTo(x + side, y);
          paper.stroke();
        }
      }
      paper.globalAlpha = 1;
    },
    drawLines(paper, scale) {
      const g = this.grid;
      const side = g.side * scale;
      if (side < LEAST_LINE_PX) return;
      const [x, y] = [g.left * scale, g.top * scale];
      for (const [colour, shift] of [["rgba(0,0,0,.45)", 1], ["rgba(255,255,255,.42)", 0]]) {
        paper.strokeStyle = colour;
        paper.lineWidth = 1;
        paper.beginPath();
        for (let row = 0; row <= g.rows; row++) {
          paper.moveTo(x, y + row * side + shift);
          paper.lineTo(x + g.columns * side, y + row * side + shift);
        }
        for (let column = 0; column <= g.columns; column++) {
          paper.moveTo(x + column * side + shift, y);
          paper.lineTo(x + column * side + shift, y + g.rows * side);
        }
        paper.stroke();
      }
    },
    drawLabels(paper, scale) {
      const labels = new Map(this.chips.map((chip) => [chip[0] + "," + chip[1], chip[2]]));
      for (const [name, key] of this.pending) labels.set(name, key);
      const g = this.grid;
      const side = g.side * scale;
      for (const [name, key] of labels) {
        const one = this.classes.find((other) => other.key === key);
        if (!one) continue;
        const [row, column] = name.split(",").map(Number);
        const [x, y] = [(g.left + column * g.side) * scale, (g.top + row * g.side) * scale];
        paper.strokeStyle = "rgba(0,0,0,.75)";
        paper.lineWidth = 5;
        paper.strokeRect(x + 2, y + 2, side - 4, side - 4);
        paper.strokeStyle = one.colour;
        paper.lineWidth = 3;
        paper.strokeRect(x + 2, y + 2, side - 4, side - 4);
        const tag = Math.min(TAG_PX, side * 0.7);
        paper.fillStyle = one.colour;
        paper.fillRect(x, y, tag, tag);
        if (tag < 8) continue;
        paper.fillStyle = "#10141a";
        paper.font = `700 ${tag * 0.8}px system-ui, sans-serif`;
        paper.textAlign = "center";
        paper.textBaseline = "middle";
        paper.fillText(String(key), x + tag / 2, y + tag / 2 + 0.5);
      }
    },
    outline(paper, scale, [row, column], colour, dash, width) {
      const g = this.grid;
      const side = g.side * scale;
      paper.lineWidth = width;
      paper.strokeStyle = "rgba(0,0,0,.8)";
      paper.strokeRect((g.left + column * g.side) * scale - 0.5, (g.top + row * g.side) * scale - 0.5, side + 1, side + 1);
      paper.setLineDash(dash);
      paper.strokeStyle = colour;
      paper.strokeRect((g.left + column * g.side) * scale, (g.top + row * g.side) * scale, side, side);
      paper.setLineDash([]);
    },
    drawScaleBar(paper, scale) {
      if (!this.pixel_nm) return;
      const frame = this.$refs.frame;
      const most = (0.28 * frame.clientWidth * this.pixel_nm) / scale;
      const decade = 10 ** Math.floor(Math.log10(most));
      const length = [5, 2, 1].map((step) => step * decade).find((nm) => nm <= most * (1 + 1e-9));
      const width = (length / this.pixel_nm) * scale;
      const [x, y] = [14, frame.clientHeight - 14];
      paper.fillStyle = "rgba(0,0,0,.6)";
      paper.fillRect(x - 7, y - 26, width + 14, 33);
      paper.fillStyle = "#ffffff";
      paper.fillRect(x, y - 4, width, 4);
      paper.font = "600 13px system-ui, sans-serif";
      paper.textAlign = "center";
      paper.textBaseline = "alphabetic";
      paper.fillText(`${Number(length.toPrecision(3))} nm`, x + width / 2, y - 9);
    },
  },
};
