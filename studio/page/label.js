// Label: one photograph after the other, several at once, or what is labelled already.
import { $, make, ask, photo, percent, count, complain, took, state } from "/app.js";

const keys = "123456789qwertyuiopasdfghjklxcvbnm"; // z takes back
const ahead = 4; // photographs that are here before they are looked at
const gridSize = 60;

const whys = {
  typical: "Typical of many others", unsure: "The model is unsure", aside: "Kept aside, to measure",
  random: "At random",
};
const hints = {
  one: "Press the key of a class. The photographs that teach most come first.",
  grid: "Alike photographs: click those of one class, with Shift a whole row of them, then press the key of the class.",
  measure: "Photographs at random, kept aside: they measure the accuracy, and nothing is learned from them.",
  labelled: "What was said last comes first. Click what is wrong, then press the key of the right class.",
};

export class Label {
  mode = "one";
  queue = []; // of {ask, image}
  tags = new Set(); // of the photograph at hand, where several may be said
  picked = new Set();
  last = -1;
  posts = Promise.resolve(); // one after the other
  busy = []; // IDs of what is on its way

  constructor() {
    for (const input of document.querySelectorAll("[name=mode]")) {
      input.addEventListener("change", () => { this.mode = input.value; input.blur(); this.restart(); });
    }
    $("undo").onclick = () => this.undo();
    $("skip").onclick = () => this.skip();
    $("save").onclick = () => this.save();
    $("all").onclick = () => this.pick([...this.shown.keys()], true);
    $("none").onclick = () => this.pick([...this.shown.keys()], false);
    $("other").onclick = () => this.fillGrid(true);
    $("add").onsubmit = e => {
      e.preventDefault();
      const input = $("class"), name = input.value;
      input.value = "";
      input.blur();
      this.post("/api/class", { name });
    };
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.alone()) this.restart(); });
  }

  alone() { return this.mode === "one" || this.mode === "measure"; }
  several() { return Boolean(state.separator); }

  enter() { this.restart(); }

  async restart() {
    if (!state || !state.ready) return;
    this.queue = [];
    this.tags.clear();
    this.show(state);
    await this.posts;
    if (this.alone()) await this.fill();
    else await this.fillGrid(false);
  }

  // fill asks for photographs until enough are ahead.
  async fill() {
    if (this.filling || !this.alone()) return;
    this.filling = true;
    try {
      while (this.queue.length < ahead) {
        const mode = this.mode;
        const not = this.queue.map(q => q.ask.id).concat(this.busy).join(",");
        const asks = await ask(`/api/next?n=${ahead - this.queue.length}&not=${not}&measure=${mode === "measure" ? 1 : 0}`);
        if (mode !== this.mode) continue;
        const known = new Set(this.queue.map(q => q.ask.id));
        const fresh = asks.filter(a => !known.has(a.id));
        if (fresh.length === 0) break;
        for (const a of fresh) this.queue.push(this.loaded(a));
        this.turn();
      }
    } catch (e) { complain(e); }
    this.filling = false;
    this.turn();
  }

  loaded(a) {
    const image = make("img", { src: photo(a.id, true), alt: a.path });
    image.decode().catch(() => image.replaceWith(make("p", {}, "This photograph cannot be shown.")));
    return { ask: a, image };
  }

  // turn shows the photograph at the head of the queue.
  turn() {
    const now = this.queue[0];
    $("one").hidden = !this.alone() || !now;
    $("empty").hidden = !this.alone() || Boolean(now) || this.filling || !state.ready;
    $("empty").textContent = this.mode === "measure" ? "All that is kept aside has a label." : "Everything has a label.";
    if (!now || $("frame").firstChild === now.image) return;
    $("frame").replaceChildren(now.image);
    $("why").textContent = whys[now.ask.why] ?? "";
    $("name").textContent = now.ask.path;
    this.tags = new Set(this.several() && now.ask.label ? now.ask.label.split(state.separator) : []);
    this.press();
  }

  async fillGrid(others) {
    try {
      const path = this.mode === "labelled" ? `/api/labelled?n=${gridSize}` :
        `/api/grid?n=${gridSize}` + (others && this.like ? "&like=" + this.like : "");
      const asks = await ask(path);
      if (this.alone()) return;
      this.shown = asks;
      this.picked.clear();
      this.last = -1;
      this.like = asks.length ? asks[asks.length - 1].id : "";
      $("grid").replaceChildren(...asks.map((a, i) => make("button", {
        class: "pick", type: "button", "aria-pressed": "false", "aria-label": a.path + (a.label ? ", " + a.label : ""),
        onclick: e => this.click(i, e.shiftKey),
      }, make("img", { src: photo(a.id), alt: "", loading: "lazy" }), ...(a.label ? [make("span", {}, a.label)] : []))));
      $("grid").scrollTop = 0;
      $("empty").hidden = asks.length > 0;
      $("empty").textContent = this.mode === "labelled" ? "Nothing has a label yet." : "Everything has a label.";
      this.tell();
    } catch (e) { complain(e); }
  }

  shown = [];

  click(i, range) {
    const on = !this.picked.has(this.shown[i].id);
    const from = range && this.last >= 0 ? this.last : i;
    const list = [];
    for (let k = Math.min(from, i); k <= Math.max(from, i); k++) list.push(k);
    this.pick(list, range || on);
    this.last = i;
  }

  pick(list, on) {
    for (const i of list) {
      const id = this.shown[i].id;
      if (on) this.picked.add(id); else this.picked.delete(id);
      $("grid").children[i].setAttribute("aria-pressed", String(on));
    }
    this.tell();
  }

  tell() { $("picked").textContent = count(this.picked.size, "photograph") + " selected"; }

  key(e) {
    const k = e.key.toLowerCase();
    if (k === "z" || k === "backspace") { e.preventDefault(); this.undo(); return; }
    if (e.target.matches("button") && (k === " " || k === "enter")) return; // which press the button
    if (k === " ") { e.preventDefault(); this.skip(); return; }
    if (k === "enter") { e.preventDefault(); this.save(); return; }
    const c = keys.indexOf(k);
    if (c >= 0 && k.length === 1 && state && c < state.classes.length) { e.preventDefault(); this.choose(state.classes[c].name); }
  }

  // choose says a class of the photograph at hand, or of those that are selected.
  choose(name) {
    if (!state.ready) return;
    if (!this.alone()) {
      if (!this.picked.size) return;
      const ids = [...this.picked];
      this.picked.clear();
      this.post("/api/label", { ids, labels: [name], source: this.mode === "grid" ? "grid" : "review" })
        .then(() => this.fillGrid(false));
      return;
    }
    if (!this.queue.length) return;
    if (this.several()) {
      if (this.tags.has(name)) this.tags.delete(name); else this.tags.add(name);
      this.press();
      return;
    }
    this.say([name]);
  }

  save() { if (this.several() && this.alone() && this.queue.length) this.say([...this.tags]); }

  say(labels) {
    const { ask: a } = this.queue[0];
    this.next(a.id, () => this.post("/api/label", { ids: [a.id], labels, source: a.source }));
  }

  skip() {
    if (!this.alone() || !this.queue.length) return;
    const { ask: a } = this.queue[0];
    this.next(a.id, () => this.post("/api/skip", { id: a.id }));
  }

  // next shows the next photograph at once; what was said is on its way.
  next(id, send) {
    const gone = this.queue.shift();
    this.busy = this.busy.concat(id);
    this.turn();
    send().then(ok => {
      this.busy = this.busy.filter(x => x !== id);
      if (!ok) this.queue.unshift(gone); // nothing was kept: it is asked about again
      this.turn();
      this.fill();
    });
  }

  // post sends one thing after the other, and reports whether it was taken.
  post(path, body) {
    const sent = this.posts.then(() => ask(path, body)).then(answer => {
      complain(null);
      took(answer.state ?? answer);
      return answer;
    }).catch(e => { complain(e); return null; });
    this.posts = sent;
    return sent;
  }

  undo() {
    if (!state || !state.undoable && !this.busy.length) return;
    this.post("/api/undo", {}).then(answer => {
      if (!answer) return;
      if (!this.alone()) { this.fillGrid(false); return; }
      const back = answer.asks.map(a => this.loaded(a));
      const ids = new Set(answer.ids);
      this.queue = back.concat(this.queue.filter(q => !ids.has(q.ask.id)));
      this.turn();
    });
  }

  press() {
    const buttons = $("classes").children;
    state.classes.forEach((c, i) => {
      if (buttons[i] && this.several()) buttons[i].setAttribute("aria-pressed", String(this.tags.has(c.name)));
    });
  }

  show(s) {
    const names = s.classes.map(c => c.name).join("\n");
    if (names !== this.names) {
      this.names = names;
      $("classes").replaceChildren(...s.classes.map((c, i) => make("button", { type: "button", onclick: e => {
        this.choose(c.name);
        e.currentTarget.blur();
      } }, c.name, ...(keys[i] ? [make("kbd", {}, keys[i].toUpperCase())] : []))));
      this.press();
    }
    const alone = this.alone();
    $("hint").textContent = s.classes.length < 2 ? "Name the classes first, at least two." :
      this.several() && alone ? "Press the keys of all classes that are there, then Enter." : hints[this.mode];
    $("grid").hidden = $("gridbar").hidden = alone;
    $("other").hidden = this.mode !== "grid";
    $("skip").hidden = !alone;
    $("save").hidden = !alone || !this.several();
    $("undo").disabled = !s.undoable;
    if (alone) this.turn(); else $("one").hidden = true;
    this.numbers(s);
  }

  numbers(s) {
    const a = s.accuracy;
    $("accuracy").textContent = a ? percent(a.value) : "not known yet";
    $("interval").textContent = a ? `${percent(a.low)} to ${percent(a.high)}, on ${count(a.of, "photograph")} ` +
      `kept aside. Saying the commonest class: ${percent(s.majority)}.` :
      "One photograph in ten is drawn at random and kept aside to measure by.";
    if (a && s.separator) $("interval").textContent = `of single labels, on ${count(a.of, "photograph")} kept aside.`;
    draw(s.history);
    $("counts").textContent = s.labels + s.held;
    $("bars").replaceChildren(...s.classes.map(c => {
      const bar = make("i");
      bar.style.width = 100 * (c.n + c.held) / Math.max(1, ...s.classes.map(d => d.n + d.held)) + "%";
      return make("li", {}, make("span", {}, c.name), make("span", {}, String(c.n + c.held)), bar);
    }));
    const m = s.curve;
    const interval = `(${gain(m.low)} to ${gain(m.high)} points)`;
    $("more").textContent = !m.more ? "" : m.stop ? `${m.more} more labels are hardly worth their time ${interval}.` :
      !m.told ? `Whether ${m.more} more labels would help cannot be told yet ${interval}.` :
      `${m.more} more labels: ${gain(m.gain)} points of accuracy ${interval}, by a power law.`;
    $("learned").textContent = `${count(s.labels, "label")} to learn from, ${s.held} kept aside, ${s.left} without a label` +
      (s.skipped ? `, ${s.skipped} skipped` : "") + (s.unreadable ? `, ${s.unreadable} unreadable` : "") + ". " +
      (s.learned ? `The model learned in ${Math.round(1000 * s.seconds)} ms.` : "");
    $("file").textContent = s.file;
    $("command").textContent = s.command;
  }
}

const gain = x => (x >= 0 ? "+" : "−") + Math.abs(100 * x).toFixed(1);

// draw draws accuracy by labels.
function draw(points) {
  const svg = $("curve");
  svg.style.display = "";
  if (points.length < 2) { svg.replaceChildren(); svg.style.display = "none"; return; }
  const part = (tag, attributes, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const first = points[0].labels, last = points[points.length - 1].labels;
  const low = Math.min(...points.map(p => p.low)), x = p => 34 + 262 * (p.labels - first) / Math.max(1, last - first);
  const y = v => 72 - 66 * (v - low) / Math.max(.01, 1 - low);
  const band = points.map(p => x(p) + "," + y(p.high)).concat(points.toReversed().map(p => x(p) + "," + y(p.low)));
  svg.replaceChildren(
    part("line", { class: "axis", x1: 34, x2: 296, y1: 72, y2: 72 }),
    part("polygon", { class: "band", points: band.join(" ") }),
    part("polyline", { class: "line", points: points.map(p => x(p) + "," + y(p.value)).join(" ") }),
    part("text", { x: 0, y: 12 }, "100 %"), part("text", { x: 0, y: 75 }, Math.round(100 * low) + " %"),
    part("text", { x: 34, y: 87 }, String(first)), part("text", { x: 296, y: 87, "text-anchor": "end" }, last + " labels"));
}
