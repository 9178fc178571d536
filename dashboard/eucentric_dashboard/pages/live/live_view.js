// The live image of one viewer: what can be chosen about it, and its legend. Taking and drawing frames is done by a
// worker (assets/worker.js), so that nothing else on the page holds the image up; all that is chosen here concerns this
// viewer alone.
const STALE_S = 3;

function inWords(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export default {
  props: { address: String, worker: String, colours: Array },
  template: `
    <div class="lv">
      <div class="lv-stage" ref="stage" tabindex="0" role="group" 
           aria-label="Live image; arrow keys move, plus and minus zoom, 0 shows the whole frame"
           @wheel.prevent="onWheel" @pointerdown="onDown" @pointermove="onMove" @pointerup="onUp" @pointercancel="onUp"
           @dblclick="reset" @keydown="onKey" :class="{stale: notLive}" :style="{aspectRatio: aspect}">
        <canvas ref="image" aria-hidden="true"></canvas>
        <div v-if="notLive && shown" class="not-live">NOT LIVE · {{ ageText }}</div>
        <div v-if="!shown" class="empty">{{ waiting }}</div>
        <div v-if="zoom > 1.001" class="lv-zoom">{{ zoom.toFixed(1) }} ×</div>
      </div>
      <div class="line lv-legend" role="group" aria-label="Classes">
        <button v-for="(entry, index) in legend" :key="index" type="button" class="lv-class" :class="{off: hidden[index]}"
                :aria-pressed="hidden[index] ? 'false' : 'true'" @click="toggle(index)">
          <span class="ring" :style="{borderColor: colourOf(index)}"></span>{{ entry[0] }} {{ entry[1] }}
        </button>
        <span v-if="shown && !legend.length" class="muted">no answer of the edge to this frame</span>
        <span class="muted lv-caption">{{ caption }}</span>
      </div>
      <div class="lv-controls">
        <label>Positions <input type="range" min="0" max="100" v-model.number="opacity" @input="chosen"></label>
        <label class="lv-check"><input type="checkbox" v-model="uncertainty" @change="chosen"> Uncertainty</label>
        <label>Opacity <input type="range" min="0" max="100" v-model.number="layerOpacity" @input="chosen"
               aria-label="Opacity of the uncertainty"></label>
        <label>Contrast <select v-model="contrast" @change="chosen">
          <option v-for="name in ['full', 'normal', 'strong']" :value="name">{{ name }}</option></select></label>
        <label>Gamma <input type="range" min="0.3" max="3" step="0.05" v-model.number="gamma" @input="chosen">
          <output>{{ gamma.toFixed(2) }}</output></label>
        <label>Colours <select v-model="map" @change="chosen">
          <option v-for="name in ['grey', 'viridis', 'inferno', 'cividis']" :value="name">{{ name }}</option>
          </select></label>
        <span class="lv-buttons">
          <button type="button" @click="zoomBy(1.5)" aria-label="Zoom in">+</button>
          <button type="button" @click="zoomBy(1 / 1.5)" aria-label="Zoom out">−</button>
          <button type="button" @click="reset">Whole frame</button>
          <button type="button" @click="frozen = !frozen; chosen()" :aria-pressed="frozen ? 'true' : 'false'">
            {{ frozen ? "Go on" : "Hold" }}</button>
        </span>
        <span class="muted lv-rate">{{ rateText }}</span>
      </div>
    </div>`,
  data() {
    return {
      shown: false, frozen: false, zoom: 1, opacity: 90, layerOpacity: 80, uncertainty: false, contrast: "normal",
      gamma: 1, map: "grey", legend: [], hidden: {}, caption: "", aspect: "1 / 1", age: 0, connected: false,
      waiting: "Waiting for the first frame.", rate: 0, dropped: 0,
    };
  },
  computed: {
    notLive() { return !this.connected || this.age > STALE_S || this.frozen; },
    ageText() {
      if (this.frozen) return "held";
      return this.connected ? `${inWords(this.age)} old` : `connection lost, ${inWords(this.age)} old`;
    },
    rateText() { return this.shown ? `${this.rate.toFixed(1)} frames/s shown · ${this.dropped} not shown` : ""; },
  },
  mounted() {
    this.drawer = new Worker(this.worker, { type: "module" });
    this.drawer.onmessage = ({ data }) => this.told(data);
    this.drawer.onerror = () => { this.waiting = "This browser cannot draw the live image: it needs a newer version."; };
    const canvas = this.$refs.image.transferControlToOffscreen();
    const address = location.origin.replace(/^http/, "ws") + this.address;
    this.chosen();
    this.measure();
    this.drawer.postMessage({ order: "start", canvas, address }, [canvas]);
    this.view = new ResizeObserver(() => this.measure());
    this.view.observe(this.$refs.stage);
    this.seen = () => this.drawer.postMessage({ order: "seen", seen: !document.hidden });
    this.seen();
    document.addEventListener("visibilitychange", this.seen);
    window.eucentricLive = { drawn: 0, drawnAt: 0, dropped: 0 };
  },
  unmounted() {
    document.removeEventListener("visibilitychange", this.seen);
    this.view.disconnect();
    this.drawer.terminate();
  },
  methods: {
    colourOf(index) { return this.colours[index % this.colours.length]; },
    told(now) {
      window.eucentricLive = { drawn: now.drawn, drawnAt: now.drawnAt, dropped: now.dropped };
      if (!now.anyFrame) this.waiting = "No frame yet. A started scan shows here by itself.";
      if (now.aspect) { this.shown = true; this.aspect = now.aspect; }
      if (JSON.stringify(now.counts) !== JSON.stringify(this.legend)) this.legend = now.counts;
      for (const name of ["connected", "zoom", "age", "caption", "rate", "dropped"]) this[name] = now[name];
    },
    chosen() {
      const { opacity, layerOpacity, uncertainty, contrast, gamma, map, frozen } = this;
      const look = { opacity, layerOpacity, uncertainty, contrast, gamma, map, frozen,
                     hidden: { ...this.hidden }, colours: [...this.colours] };
      this.drawer.postMessage({ order: "look", look });
    },
    measure() {
      const { clientWidth: wide, clientHeight: high } = this.$refs.stage;
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      this.drawer.postMessage({ order: "size", size: { wide, high, ratio } });
    },
    toggle(index) { this.hidden = { ...this.hidden, [index]: !this.hidden[index] }; this.chosen(); },
    reset() { this.drawer.postMessage({ order: "whole" }); },
    zoomBy(factor, at) { this.drawer.postMessage({ order: "zoom", factor, at }); },
    moveBy(x, y) { this.drawer.postMessage({ order: "move", by: [x, y] }); },
    onWheel(event) {
      const box = this.$refs.stage.getBoundingClientRect();
      this.zoomBy(Math.exp(-event.deltaY / 400), [event.clientX - box.left, event.clientY - box.top]);
    },
    onDown(event) { this.held = [event.clientX, event.clientY]; this.$refs.stage.setPointerCapture(event.pointerId); },
    onMove(event) {
      if (!this.held) return;
      this.moveBy(event.clientX - this.held[0], event.clientY - this.held[1]);
      this.held = [event.clientX, event.clientY];
    },
    onUp() { this.held = null; },
    onKey(event) {
      const step = 40;
      const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (moves[event.key]) this.moveBy(...moves[event.key]);
      else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
      else if (event.key === "-") this.zoomBy(1 / 1.5);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    },
  },
};
