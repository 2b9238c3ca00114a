// The studio's page: views by the address's hash, the state of the server, and what views share.
import { Label } from "/label.js";
import { Try } from "/try.js";

export const $ = id => document.getElementById(id);

// make builds an element; text is never read as HTML.
export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && v != null) e.setAttribute(k, v);
  }
  e.append(...children);
  return e;
}

// ask fetches JSON from the server; its errors are sentences.
export async function ask(path, body) {
  const how = body === undefined ? {} :
    { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true };
  let answer;
  try {
    answer = await fetch(path, how);
  } catch {
    throw new Error("The studio does not answer. Start it again in the terminal, and open the address that it prints.");
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  let why = text;
  try { why = JSON.parse(text).error; } catch { /* the guard's plain text */ }
  throw new Error(why);
}

export const photo = (id, view) => "/photo/" + id + (view ? "?size=view" : "");
export const percent = x => (100 * x).toFixed(1) + " %";
export const count = (n, word) => n + " " + word + (n === 1 ? "" : "s");

export function complain(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

export let state = null;
const views = { label: new Label(), try: new Try() };

// took takes a state that the server sent, if it is newer than the one at hand.
export function took(next) {
  if (state && next.version < state.version) return;
  state = next;
  const w = state.working;
  $("status").textContent = state.failed ? "" : state.ready ? "" :
    w.total ? `Computing features: ${w.done} of ${w.total}` : "Starting";
  if (state.failed) complain(new Error(state.failed));
  views[current()].show(state);
}

function current() {
  const name = location.hash.slice(1);
  return name in views ? name : "label";
}

function turn() {
  for (const name of Object.keys(views)) $("view-" + name).hidden = name !== current();
  for (const a of document.querySelectorAll("nav a")) {
    if (a.dataset.view === current()) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (state) { views[current()].enter?.(); views[current()].show(state); }
}

async function watch() {
  let lost = false;
  for (;;) {
    try {
      const next = await ask("/api/state?seen=" + (state && state.ready ? state.version : -1));
      if (lost) { lost = false; complain(null); }
      const first = state === null || !state.ready && next.ready;
      took(next);
      if (first) turn();
      if (!next.ready) await new Promise(r => setTimeout(r, 300));
    } catch (e) {
      lost = true;
      complain(e);
      await new Promise(r => setTimeout(r, 1500));
    }
  }
}

addEventListener("hashchange", turn);
addEventListener("keydown", e => {
  if (e.ctrlKey || e.altKey || e.metaKey || e.target.matches("input:not([type=radio]),textarea,select")) return;
  views[current()].key?.(e);
});
turn();
watch();
