"use strict";
// The slider of the report: a range input over pre-decoded frames. No network, no library, no kernel.
(() => {
  const SVG = Object.assign(document.createElement("div"), { innerHTML: "<svg></svg>" }).firstChild.namespaceURI;
  const THUMB = 12; // half the width of the range's thumb, px: the chart above the range starts and ends at its centre

  const make = (tag, attributes = {}, ...children) => {
    const svg = ["svg", "line", "polyline", "circle", "text", "g"].includes(tag);
    const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const count = (n) => n.toLocaleString("en");
  const percent = (p) => `${Math.round(p * 100)} %`;
  const verdict = (right) => (right === true ? "✓" : right === false ? "✗" : "");

  class Player {
    constructor(place, data) {
      this.data = data;
      this.thumbs = make("div", { class: "thumbs", role: "group", "aria-label": "Picture" });
      this.panes = make("div", { class: "panes" });
      this.chart = make("svg", { class: "chart", role: "img" });
      this.range = make("input", { type: "range", min: 0, step: 1, "aria-label": "Byte budget" });
      this.button = make("button", { type: "button" }, "Play");
      this.key = make("div", { class: "key" });
      const top = make("div", { class: "player-top" }, make("h2", {}, data.heading), this.thumbs);
      const under = make("div", { class: "under" }, this.button, this.key);
      place.replaceChildren(top, this.panes, make("div", { class: "control" }, this.chart, make("div", { class: "drag" }, this.range), under));
      data.pictures.forEach((picture, i) => {
        const image = make("img", { src: picture.ladders[0].original, alt: picture.picture });
        const button = make("button", { type: "button", "aria-pressed": "false", title: picture.picture }, image);
        button.addEventListener("click", () => this.open(i));
        this.thumbs.append(button);
      });
      this.thumbs.hidden = data.pictures.length < 2;
      this.range.addEventListener("input", () => { this.stop(); this.show(+this.range.value); });
      this.button.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
      new ResizeObserver(() => this.plot()).observe(this.chart);
      this.open(0);
    }

    open(i) {
      this.stop();
      this.ladders = this.data.pictures[i].ladders;
      [...this.thumbs.children].forEach((button, k) => button.setAttribute("aria-pressed", k === i));
      this.panes.classList.toggle("one", this.ladders.length === 1);
      this.views = this.ladders.map((ladder) => this.pane(ladder));
      this.panes.replaceChildren(...this.views.map((view) => view.node));
      const first = this.ladders[0];
      this.key.replaceChildren(...first.levels.map((level, k) => make("span", {}, make("i", { style: `background:${this.data.hues[k]}` }), level)), make("span", { class: "axis" }, `height: how sure${this.ladders.length > 1 ? `, ${first.codec}` : ""}`));
      this.range.max = first.rungs.length - 1;
      this.plot();
      this.show(Math.round((first.rungs.length - 1) * 0.45));
    }

    pane(ladder) {
      const image = make("img", { class: ladder.width <= 96 ? "small frame" : "frame", style: `--shape:${ladder.width}/${ladder.height}` });
      const bytes = make("p", { class: "count" });
      const crumbs = make("ol", { class: "crumbs" });
      const rows = ladder.levels.map((level, k) => {
        const parts = { name: make("span", { class: "name" }), sure: make("span", { class: "sure" }), bar: make("i", { style: `background:${this.data.hues[k]}` }) };
        crumbs.append(make("li", {}, make("span", { class: "level" }, level), parts.name, parts.sure, make("span", { class: "bar", "aria-hidden": "true" }, parts.bar)));
        return parts;
      });
      const strip = this.strip(ladder), map = make("img", { class: "map", hidden: "" });
      const truth = ladder.truth.length ? `It is: ${ladder.truth.join(" › ")}` : "";
      const text = make("div", {}, make("h3", {}, ladder.codec), bytes, strip.node, map, crumbs, make("p", { class: "truth" }, truth), make("p", { class: "truth" }, ladder.confidence ? `Confidence ${ladder.confidence}.` : ""));
      return { node: make("div", { class: "pane" }, image, text), ladder, image, bytes, rows, strip, map };
    }

    // The stream as a bar: header and hyper-latent grey, each block in its level's colour, filled as far as we are.
    strip(ladder) {
      const node = make("div", { class: "strip", role: "img", hidden: "" }), fills = [];
      let at = 0, block = 0;
      for (const [name, size] of ladder.parts || []) {
        const hue = name.startsWith("block") ? this.data.hues[block++ % this.data.hues.length] : "var(--faint)";
        const fill = make("i", { style: `background:${hue}` });
        node.append(make("span", { title: `${name}: ${count(size)} bytes`, style: `flex:${size} 0 0` }, fill));
        fills.push([fill, at, size]);
        at += size;
      }
      node.hidden = !fills.length;
      node.setAttribute("aria-label", `The stream: ${(ladder.parts || []).map(([name, size]) => `${name} ${count(size)} bytes`).join(", ")}`);
      return { node, fills };
    }

    show(i) {
      this.range.value = i;
      const said = [];
      for (const { ladder, image, bytes, rows, strip, map } of this.views) {
        const rung = ladder.rungs[Math.min(i, ladder.rungs.length - 1)];
        image.src = rung.frame;
        image.alt = `${ladder.picture}, decoded by ${ladder.codec} from ${count(rung.bytes)} bytes`;
        for (const [fill, at, size] of strip.fills) fill.style.width = `${100 * Math.min(1, Math.max(0, (rung.bytes - at) / size))}%`;
        map.hidden = !rung.arrived;
        if (rung.arrived) {
          map.src = rung.arrived;
          map.alt = `Where latents have arrived, block by block: ${count(rung.symbols)} of ${count(rung.symbols_total)} are there`;
        }
        const level = ladder.ends.length ? ` · level ${rung.level} of ${ladder.ends.length} complete` : "";
        bytes.replaceChildren(make("b", {}, count(rung.bytes)), ` of ${count(ladder.size_bytes)} bytes`, make("br"), `${rung.bpp.toFixed(3)} bpp · ${rung.psnr_db.toFixed(1)} dB${level}`);
        rung.crumbs.forEach(([name, sure, right], k) => {
          const tick = make("span", { class: right ? "right" : "wrong" }, ` ${verdict(right)}`);
          rows[k].name.replaceChildren(name, tick);
          rows[k].sure.textContent = percent(sure);
          rows[k].bar.style.width = `${sure * 100}%`;
        });
        said.push(`${ladder.codec}, ${count(rung.bytes)} bytes: ${rung.crumbs.map(([name, sure, right]) => `${name} ${percent(sure)} ${verdict(right)}`).join(", ")}`);
      }
      this.range.setAttribute("aria-valuetext", said.join("; "));
      this.cursor?.setAttribute("transform", `translate(${this.x(i)} 0)`);
    }

    x(i) { return THUMB + (this.width - 2 * THUMB) * i / Math.max(1, this.ladders[0].rungs.length - 1); }

    // Where a number of bytes lies between the rungs of the ladder, as a fractional rung.
    place(bytes) {
      const rungs = this.ladders[0].rungs;
      const above = rungs.findIndex((rung) => rung.bytes >= bytes);
      if (above <= 0) return above === 0 ? 0 : rungs.length - 1;
      const [low, high] = [rungs[above - 1].bytes, rungs[above].bytes];
      return above - 1 + (bytes - low) / (high - low);
    }

    plot() {
      const { ladders: [ladder], data } = this;
      this.width = this.chart.clientWidth || 600;
      const [top, bottom] = [16, this.chart.clientHeight - 8], y = (p) => bottom - (bottom - top) * p;
      this.chart.replaceChildren();
      this.chart.setAttribute("aria-label", `How sure the answer at each level is as bytes of ${ladder.codec} arrive`);
      for (const p of [0, 0.5, 1]) this.chart.append(make("line", { x1: THUMB, x2: this.width - THUMB, y1: y(p), y2: y(p), style: "stroke:var(--rule)" }));
      let labelled = -Infinity;
      const reach = ladder.rungs[ladder.rungs.length - 1].bytes;
      ladder.ends.filter((end) => end <= reach).forEach((end, k) => {
        const x = this.x(this.place(end));
        const label = x - labelled > 90 && this.width > 420 ? `level ${k + 1} ends` : `${k + 1}`;
        labelled = x;
        this.chart.append(make("line", { x1: x, x2: x, y1: top - 6, y2: bottom, style: "stroke:var(--faint);stroke-dasharray:2 3" }),
          make("text", { x: x - 4, y: top - 5, "text-anchor": "end" }, label));
      });
      ladder.levels.forEach((_, k) => {
        const points = ladder.rungs.map((rung, i) => [this.x(i), y(rung.crumbs[k][1])]);
        this.chart.append(make("polyline", { points: points.map((p) => p.join()).join(" "), style: `fill:none;stroke:${data.hues[k]};stroke-width:2;stroke-linejoin:round` }));
        points.forEach(([cx, cy], i) => {
          const right = ladder.rungs[i].crumbs[k][2];
          if (right !== null) this.chart.append(make("circle", { cx, cy, r: 3.4, style: `stroke:${data.hues[k]};stroke-width:1.6;fill:${right ? data.hues[k] : "var(--card)"}` }));
        });
      });
      this.cursor = make("g", {}, make("line", { y1: top - 4, y2: bottom + 20, style: "stroke:var(--ink);stroke-width:1.2" }));
      this.chart.append(this.cursor);
      this.cursor.setAttribute("transform", `translate(${this.x(+this.range.value)} 0)`);
    }

    play() {
      if (+this.range.value >= +this.range.max) this.show(0);
      this.button.textContent = "Pause";
      this.timer = setInterval(() => (+this.range.value < +this.range.max ? this.show(+this.range.value + 1) : this.stop()), 220);
    }

    stop() {
      clearInterval(this.timer);
      this.timer = null;
      this.button.textContent = "Play";
    }
  }

  for (const source of document.querySelectorAll("script[data-for]")) new Player(document.getElementById(source.dataset.for), JSON.parse(source.textContent));
})();
