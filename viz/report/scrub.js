"use strict";
// A timeline that one can scrub: point at a second to see its shares, drag to select a span, zoom, and play a video or
// another recording in step. All drawings of one root share the position, the span and the zoom.
//
// Keys, in a focused drawing: arrows and page keys move, with Shift they select; Home and End; + and - zoom, 0 shows the
// whole session, Enter zooms to the span; n and p go to the next and previous mark; Space plays; Escape clears.

const MAX_PIXELS_PER_BIN = 120, DRAG_PIXELS = 4, LEAST_SHARE = 5, LABEL_ROOM = 90;
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400], TICK_ROOM = 90;

function clock(seconds) {
  const two = (value) => String(value).padStart(2, "0"), whole = Math.floor(Math.max(seconds, 0));
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60, rest = two(whole % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

const percent = (thousandths) => (thousandths > 0 && thousandths < 5 ? "<1 %" : `${Math.round(thousandths / 10)} %`);

function made(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

// A media file beside the session. Each piece of it says from which second of the session on it shows which of its own.
class Media {
  constructor(element, pieces) {
    Object.assign(this, { element, pieces });
  }

  at(second) { // the media time of a session time; null where the media has none
    const piece = this.pieces.findLast(([from, , length]) => second >= from && second < from + length);
    const time = piece ? piece[1] + second - piece[0] : null;
    return time !== null && time <= (this.element.duration || Infinity) ? time : null;
  }

  get second() { // the session time that is shown
    const time = this.element.currentTime;
    const piece = this.pieces.findLast(([, start]) => time >= start) ?? this.pieces[0];
    return piece[0] + time - piece[1];
  }

  seek(second) {
    const time = this.at(second);
    this.element.classList.toggle("elsewhere", time === null);
    if (time === null) this.element.pause();
    else if (Math.abs(this.element.currentTime - time) > 0.02) this.element.currentTime = time;
  }

  toggle() {
    if (this.element.paused) this.element.play().catch(() => {}); // a browser may ask for a click first
    else this.element.pause();
  }
}

class Scrubber {
  // data: width of a bin and span of the drawings in seconds; names and shades of the classes; by bin: kept (0 or the key
  // of a reason), shares in thousandths and, if any, counts of faces, readable and unsure ones in tenths; reasons; top, the
  // height of the drawing of counts; marks as [second, name]; recorded, the word for bins with shares.
  constructor(root, data, media = null) {
    Object.assign(this, { root, data, at: null, span: null, zoom: 1, scrolled: 0 });
    this.find = (name) => root.querySelector(name);
    this.drawings = [...root.querySelectorAll(".plot .drawing")].map((drawing) => this.prepare(drawing));
    this.whole = this.means(0, data.kept.length);
    this.selection = this.find(".selection");
    for (const [name, act] of Object.entries({
      "zoom-in": () => this.zoomBy(2), "zoom-out": () => this.zoomBy(0.5), "zoom-all": () => this.zoomTo(1),
      "zoom-span": () => this.zoomToSpan(), "clear-span": () => this.select(null),
    })) {
      for (const button of root.querySelectorAll(`[data-do="${name}"]`)) button.addEventListener("click", act);
    }
    for (const jump of root.querySelectorAll("[data-second]")) this.makeJump(jump);
    this.find(".tools")?.removeAttribute("hidden");
    this.resized = new ResizeObserver(() => this.lay());
    for (const { scroller } of this.drawings) this.resized.observe(scroller);
    if (media) this.attach(media);
    this.lay();
  }

  attach(media) {
    this.media = media;
    this.follow();
  }

  prepare(drawing) {
    const figure = drawing.closest(".plot"), scroller = figure.querySelector(".scroller");
    const parts = { drawing, figure, scroller, wide: figure.querySelector(".wide"), times: figure.querySelector(".times") };
    parts.cursor = drawing.appendChild(made("i", "cursor"));
    parts.shade = drawing.appendChild(made("i", "span"));
    parts.tip = figure.appendChild(made("div", "tip"));
    parts.cursor.hidden = parts.shade.hidden = parts.tip.hidden = true;
    drawing.setAttribute("role", "slider");
    drawing.setAttribute("aria-valuemin", 0);
    drawing.setAttribute("aria-valuemax", Math.round(this.data.kept.length * this.data.width));
    this.describe(drawing, 0);
    const second = (event) => {
      const box = drawing.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * this.data.span;
    };
    drawing.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      drawing.setPointerCapture(event.pointerId);
      this.held = { x: event.clientX, from: event.shiftKey && this.at !== null ? this.at : second(event), moved: event.shiftKey };
      if (!event.shiftKey) this.select(null);
      this.go(second(event), parts);
    });
    drawing.addEventListener("pointermove", (event) => {
      if (this.held && event.buttons) {
        this.held.moved ||= Math.abs(event.clientX - this.held.x) > DRAG_PIXELS;
        if (this.held.moved) this.select([this.held.from, second(event)]);
        this.go(second(event), parts);
      } else if (event.pointerType === "mouse") this.show(second(event), parts);
    });
    const release = () => { this.held = null; };
    drawing.addEventListener("pointerup", release);
    drawing.addEventListener("pointercancel", release);
    drawing.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !this.held) this.rest();
    });
    drawing.addEventListener("blur", () => this.hideTips());
    drawing.addEventListener("keydown", (event) => this.key(event, parts));
    drawing.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoomTo(this.zoom * Math.exp(-event.deltaY / 100), second(event));
    }, { passive: false });
    scroller.addEventListener("scroll", () => {
      for (const other of this.drawings) if (other.scroller !== scroller) other.scroller.scrollLeft = scroller.scrollLeft;
      if (performance.now() - this.scrolled > 200) this.hideTips(); // not after our own scrolling
    });
    return parts;
  }

  makeJump(cell) { // a time in a table becomes a button
    const button = made("button", "jump", cell.textContent), second = Number(cell.dataset.second);
    button.type = "button";
    button.addEventListener("click", () => {
      this.go(second, this.drawings[0]);
      this.drawings[0].figure.scrollIntoView({ block: "center", behavior: "smooth" });
    });
    cell.replaceChildren(button);
  }

  // ---- position

  bin(second) {
    return Math.min(Math.max(Math.floor(second / this.data.width), 0), this.data.kept.length - 1);
  }

  go(second, parts) { // moves the position, the media too
    const end = this.data.kept.length * this.data.width;
    this.at = Math.min(Math.max(second, 0), end - 0.001);
    this.media?.seek(this.at);
    this.reveal(this.at);
    this.show(this.at, parts);
  }

  show(second, parts) { // shows the shares of a second, without moving there
    this.place(second);
    if (!parts) return;
    const { drawing, figure, tip } = parts, bin = this.bin(second);
    for (const other of this.drawings) other.tip.hidden = other !== parts;
    tip.replaceChildren(...this.lines(bin));
    this.describe(drawing, bin);
    const box = drawing.getBoundingClientRect(), frame = figure.getBoundingClientRect();
    const middle = box.left - frame.left + (second / this.data.span) * box.width, room = frame.width - tip.offsetWidth;
    const left = middle + 14 < room ? middle + 14 : middle - tip.offsetWidth - 14;
    tip.style.left = `${Math.max(0, Math.min(left, room))}px`;
  }

  place(second) {
    for (const { cursor } of this.drawings) {
      cursor.hidden = second === null;
      if (second !== null) cursor.style.left = `${(100 * second) / this.data.span}%`;
    }
  }

  rest() { // the pointer has left: back to the position
    this.hideTips();
    this.place(this.at);
  }

  hideTips() {
    for (const { tip } of this.drawings) tip.hidden = true;
  }

  describe(drawing, bin) {
    drawing.setAttribute("aria-valuenow", Math.round(bin * this.data.width));
    const words = this.lines(bin).map((line) => [...line.children].map((part) => part.textContent).join(" "));
    drawing.setAttribute("aria-valuetext", words.join(", "));
  }

  lines(bin) {
    const { data } = this, line = (name, value, shade) => {
      const row = made("p"), left = row.appendChild(made("span", shade ? "mark" : "", name));
      if (shade) left.style.setProperty("--shade", shade);
      row.append(made("span", "", value));
      return row;
    };
    const from = bin * data.width, tenth = data.width < 1 ? `.${Math.floor((10 * from) % 10)}` : "";
    const head = line(clock(from) + tenth, this.markNear(from));
    head.className = "head";
    if (data.kept[bin] !== 0) return [head, line(data.reasons[data.kept[bin]], "")];
    const shares = data.shares[bin].map((share, column) => [share, column]).filter(([share]) => share >= LEAST_SHARE)
      .sort((one, other) => other[0] - one[0])
      .map(([share, column]) => line(data.names[column], percent(share), data.shades[column]));
    const counts = data.counts?.[bin].map((count, at) =>
      line(["faces", "readable", "unsure"][at], count % 10 ? (count / 10).toFixed(1) : count / 10));
    return [head, ...shares, ...(counts ?? [])];
  }

  markNear(from) {
    return (this.data.marks ?? []).filter(([at]) => at >= from && at < from + this.data.width).map(([, name]) => name).join(", ");
  }

  key(event, parts) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const end = this.data.kept.length, bin = this.bin(this.at ?? 0), step = this.at === null ? 0 : 1;
    const target = {
      ArrowLeft: bin - step, ArrowDown: bin - step, ArrowRight: bin + step, ArrowUp: bin + step,
      PageUp: bin - 10, PageDown: bin + 10, Home: 0, End: end - 1,
    }[event.key];
    const commands = {
      "+": () => this.zoomBy(2), "=": () => this.zoomBy(2), "-": () => this.zoomBy(0.5), "0": () => this.zoomTo(1),
      Enter: () => this.zoomToSpan(), n: () => this.nextMark(1, parts), p: () => this.nextMark(-1, parts),
      " ": () => this.media?.toggle(),
      Escape: () => { this.hideTips(); this.select(null); },
    };
    if (target !== undefined) {
      const { width } = this.data, to = Math.min(Math.max(target, 0), end - 1);
      if (event.shiftKey) { // both ends belong to the span
        this.anchor ??= bin;
        this.select([Math.min(this.anchor, to) * width, (Math.max(this.anchor, to) + 1) * width]);
      } else this.anchor = null;
      this.go(to * width, parts);
    } else if (commands[event.key]) commands[event.key]();
    else return;
    event.preventDefault();
  }

  nextMark(by, parts) {
    const now = this.at ?? -1, times = (this.data.marks ?? []).map(([at]) => at);
    const next = by > 0 ? times.find((at) => at > now + 0.01) : times.findLast((at) => at < now - 0.01);
    if (next !== undefined) this.go(next, parts);
  }

  // ---- span

  select(span) {
    if (span) {
      const { width, kept } = this.data; // a span has whole bins
      const edge = (second) => Math.min(Math.max(Math.round(second / width), 0), kept.length) * width;
      this.span = [edge(Math.min(...span)), edge(Math.max(...span))];
    } else [this.span, this.anchor] = [null, null];
    for (const { shade } of this.drawings) {
      shade.hidden = !this.span;
      if (!this.span) continue;
      shade.style.left = `${(100 * this.span[0]) / this.data.span}%`;
      shade.style.width = `${(100 * (this.span[1] - this.span[0])) / this.data.span}%`;
    }
    this.summarize();
  }

  // The means over the bins from start to stop that were recorded; a bin counts if its middle lies in the span.
  means(start, stop) {
    const { data } = this, sums = data.names.map(() => 0), counts = [0, 0, 0];
    let recorded = 0;
    for (let bin = start; bin < stop; bin++) {
      if (data.kept[bin] !== 0) continue;
      recorded++;
      data.shares[bin].forEach((share, column) => { sums[column] += share; });
      data.counts?.[bin].forEach((count, column) => { counts[column] += count; });
    }
    return {
      seconds: recorded * data.width, shares: sums.map((sum) => (recorded ? sum / recorded : null)),
      faces: recorded && data.counts ? counts[0] / recorded / 10 : null,
    };
  }

  summarize() {
    const box = this.selection;
    if (!box) return;
    box.hidden = !this.span;
    if (!this.span) return;
    const { data } = this, [from, to] = this.span;
    const bins = this.span.map((second) => Math.round(second / data.width));
    const { seconds, shares, faces } = this.means(...bins), length = (bins[1] - bins[0]) * data.width;
    const facts = [`${clock(from)} to ${clock(to)}`, `${Math.round(seconds)} of ${Math.round(length)} s ${data.recorded ?? "recorded"}`];
    if (faces !== null) facts.push(`${faces.toFixed(1)} faces on average`);
    box.querySelector(".facts").textContent = facts.join(" · ");
    const rows = shares.map((share, column) => [share, column]).filter(([share]) => share !== null)
      .sort((one, other) => other[0] - one[0]).map(([share, column]) => this.row(share, column));
    box.querySelector("tbody").replaceChildren(...rows);
    box.querySelector("table").hidden = !rows.length;
  }

  row(share, column) {
    const row = made("tr"), name = row.appendChild(made("td")).appendChild(made("span", "mark", this.data.names[column]));
    const bar = row.appendChild(made("td", "wide-cell")).appendChild(made("span", "bar")).appendChild(made("i"));
    name.style.setProperty("--shade", this.data.shades[column]);
    bar.style.setProperty("--shade", this.data.shades[column]);
    bar.style.setProperty("--share", `${share / 10}%`);
    const whole = this.whole.shares[column], points = Math.round((share - whole) / 10);
    const change = points ? `${points > 0 ? "+" : "-"}${Math.abs(points)}` : "0";
    for (const text of [percent(share), percent(whole), change]) row.append(made("td", "number", text));
    return row;
  }

  // ---- zoom

  get most() {
    const across = this.drawings[0].scroller.clientWidth || 1;
    return Math.max(1, (MAX_PIXELS_PER_BIN * this.data.kept.length) / across);
  }

  zoomBy(factor) {
    this.zoomTo(this.zoom * factor);
  }

  zoomTo(zoom, around = null) { // the second `around` keeps its place on the screen
    const { scroller } = this.drawings[0], across = scroller.clientWidth;
    const visible = (scroller.scrollLeft + across / 2) / (across * this.zoom) * this.data.span;
    const inView = this.at !== null && Math.abs(this.at - visible) <= this.data.span / this.zoom / 2;
    const kept = around ?? (inView ? this.at : visible), x = (kept / this.data.span) * across * this.zoom - scroller.scrollLeft;
    this.zoom = Math.min(Math.max(zoom, 1), this.most);
    this.lay();
    this.scroll((kept / this.data.span) * across * this.zoom - x);
  }

  zoomToSpan() {
    if (!this.span || this.span[1] <= this.span[0]) return;
    const across = this.drawings[0].scroller.clientWidth, length = this.span[1] - this.span[0];
    this.zoom = Math.min(Math.max((0.9 * this.data.span) / length, 1), this.most);
    this.lay();
    this.scroll(((this.span[0] + length / 2) / this.data.span) * across * this.zoom - across / 2);
  }

  scroll(left) {
    this.scrolled = performance.now();
    for (const { scroller } of this.drawings) scroller.scrollLeft = left;
  }

  reveal(second) { // scrolls a second into view
    const { scroller } = this.drawings[0], across = scroller.clientWidth, x = (second / this.data.span) * across * this.zoom;
    if (x < scroller.scrollLeft || x > scroller.scrollLeft + across) this.scroll(x - across / 2);
  }

  lay() { // draws axes and labels for the zoom; on the first zoom, draws each second instead of each pixel
    if (this.zoom > 1) this.refine();
    const across = this.drawings[0].scroller.clientWidth * this.zoom, end = this.data.kept.length * this.data.width;
    for (const { wide, times, drawing } of this.drawings) {
      wide.style.width = `${100 * this.zoom}%`;
      const step = TICKS.find((one) => (one / this.data.span) * across >= TICK_ROOM) ?? TICKS.at(-1);
      const ticks = [];
      for (let at = 0; at <= end; at += step) {
        const tick = made("span", at > 0.97 * this.data.span ? "last" : "", clock(at));
        tick.style.left = `${(100 * at) / this.data.span}%`;
        ticks.push(tick);
      }
      times.replaceChildren(...ticks);
      const lines = [...drawing.querySelectorAll(".event")];
      lines.forEach((line, at) => {
        const next = lines[at + 1], gap = next ? parseFloat(next.style.left) - parseFloat(line.style.left) : 100;
        line.classList.toggle("bare", (gap / 100) * across < LABEL_ROOM);
      });
    }
    this.root.querySelector('[data-do="zoom-out"]')?.toggleAttribute("disabled", this.zoom <= 1);
    this.root.querySelector('[data-do="zoom-all"]')?.toggleAttribute("disabled", this.zoom <= 1);
    this.root.querySelector('[data-do="zoom-in"]')?.toggleAttribute("disabled", this.zoom >= this.most);
  }

  refine() {
    if (this.refined) return;
    this.refined = true;
    const { data } = this, areas = {
      shares: (bin) => data.shares[bin].map((share) => share / 1000),
      counts: (bin) => {
        const [faces, readable, unsure] = data.counts[bin].map((count) => count / 10 / data.top);
        return [readable - unsure, unsure, faces - readable];
      },
    };
    for (const { drawing } of this.drawings) {
      const svg = drawing.querySelector("svg"), values = areas[drawing.dataset.values ?? "shares"];
      const paths = svg ? [...svg.querySelectorAll("path")] : [];
      if (!paths.length) continue;
      svg.setAttribute("viewBox", `0 0 ${(10 * data.span) / data.width} 1000`);
      stacked(data.kept, values, paths.length).forEach((shape, area) => paths[area].setAttribute("d", shape));
    }
  }

  // ---- media

  follow() {
    const { element } = this.media;
    const move = () => {
      if (this.held) return;
      this.at = this.media.second;
      this.place(this.at);
      this.reveal(this.at);
    };
    const run = () => {
      move();
      if (!element.paused && !element.ended) requestAnimationFrame(run);
    };
    element.addEventListener("play", run);
    element.addEventListener("seeked", move);
  }
}

// The outlines of stacked areas, with gaps where nothing was kept; as `stacked_areas` in figures.py draws them.
function stacked(kept, values, count) {
  const shapes = Array.from({ length: count }, () => "");
  for (let start = 0; start < kept.length; start++) {
    if (kept[start] !== 0) continue;
    let stop = start;
    while (stop < kept.length && kept[stop] === 0) stop++;
    const heights = [];
    for (let bin = start; bin < stop; bin++) {
      let sum = 0;
      heights.push([1000, ...values(bin).map((value) => Math.round(1000 * (1 - (sum += value))))]);
    }
    const x = (at) => (start + at) * 10 + 5, last = heights.length - 1;
    for (let area = 0; area < count; area++) {
      const edge = (row, reverse) => {
        const points = [`${start * 10} ${heights[0][row]}`, ...heights.map((one, at) => `${x(at)} ${one[row]}`), `${stop * 10} ${heights[last][row]}`];
        return (reverse ? points.reverse() : points).join("L");
      };
      shapes[area] += `M${edge(area + 1)}L${edge(area, true)}z`;
    }
    start = stop;
  }
  return shapes;
}
