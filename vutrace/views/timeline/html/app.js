// The state of the page, and what changes it. Everything that is seen follows from `state`.

const byId = (id) => document.getElementById(id);
const canvas = byId("timeline"), scroller = byId("scroller"), pen = canvas.getContext("2d");

const state = {
  session: null, axis: null, lanes: null, rings: [], layout: null, from: 0, to: 1,
  scale: data.scale, fitAll: false, selected: -1, hover: -1, ring: null,
  hiddenKinds: new Set(), matches: null, colours: readColours(), drawing: false, dark: false,
};

/** What is drawn, out of the state and the window. */
function scene() {
  const { session, axis, lanes, rings, from, to, matches, selected, hover, ring, colours } = state;
  return {
    session, axis, fixed: lanes.fixed, rings, layout: state.layout, from, to, matches, selected, hover, ring, colours,
    width: scroller.clientWidth, height: scroller.clientHeight, scroll: scroller.scrollTop,
  };
}

/** Draw before the next picture of the screen, once however often it is asked for. */
function redraw() {
  if (state.drawing) return;
  state.drawing = true;
  requestAnimationFrame(() => {
    state.drawing = false;
    const now = scene(), ratio = window.devicePixelRatio || 1;
    const wide = Math.round(now.width * ratio), high = Math.round(now.height * ratio);
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    canvas.style.height = `${now.height}px`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(pen, now);
    drawOverview();
  });
}

/** Place the lanes anew: the window, the rings or the density changed. */
function arrange() {
  state.layout = layout(state.lanes.fixed, state.rings, scroller.clientHeight, state.fitAll);
  const beyond = state.layout.bottom - scroller.clientHeight;
  byId("height").style.height = `${beyond > 0 ? beyond : 0}px`;
  redraw();
}

// Sessions, filters, scale

function openSession(n) {
  state.session = opened(sessions[n]);
  state.lanes = lanesOf(state.session);
  Object.assign(state, { selected: -1, hover: -1, ring: null });
  fillChips();
  setScale(state.scale);
  showBanner();
  byId("session").value = String(groupOf(n).first);
  refilter();
  showPanel();
  scroller.scrollTop = 0;
}

const AXES = { order: orderAxis, folded: foldedAxis, time: timeAxis }, SCALES = Object.keys(AXES);

function setScale(name) {
  state.scale = name;
  state.axis = (state.session.timed ? AXES[name] : orderAxis)(state.session);
  for (const id of SCALES) {
    byId(id).disabled = !state.session.timed && id !== "order";
    byId(id).setAttribute("aria-checked", String(id === state.axis.name));
    byId(id).tabIndex = id === state.axis.name ? 0 : -1;
  }
  look(0, state.axis.end);
  if (state.selected >= 0) reveal(state.selected);
}

function refilter() {
  const test = ringTest(byId("rings").value);
  state.rings = state.lanes.rings.filter((lane) => test(lane.ring));
  state.matches = matching(state.session, byId("messages").value, state.hiddenKinds);
  const seen = state.matches.reduce((sum, each) => sum + each, 0), all = state.session.count;
  byId("count").textContent = seen === all ? `${all.toLocaleString("en")} rows` : `${seen.toLocaleString("en")} of ${all.toLocaleString("en")} rows`;
  arrange();
}

/** A switch for each kind of message that there is; it is the legend, too. */
function fillChips() {
  const counts = new Map();
  for (const kind of state.session.rows.kind) counts.set(data.kinds[kind], (counts.get(data.kinds[kind]) || 0) + 1);
  byId("chips").replaceChildren(...data.kinds.filter((kind) => counts.has(kind)).map((kind) => chip(kind, counts.get(kind))));
}

function chip(kind, count) {
  const sign = make("i", { style: `background: var(--${kind.replace(" ", "-")})` }, glyphOf("", kind));
  const words = kind === "once" ? "once per device" : kind;
  return make("button", {
    "aria-pressed": String(!state.hiddenKinds.has(kind)), title: `${count} messages`, onclick: (event) => toggleKind(kind, event.currentTarget),
  }, sign, words);
}

function toggleKind(kind, button) {
  if (!state.hiddenKinds.delete(kind)) state.hiddenKinds.add(kind);
  button.setAttribute("aria-pressed", String(!state.hiddenKinds.has(kind)));
  refilter();
}

// Looking around

/** See from here to there, at most everything and never closer than the axis allows. */
function look(from, to) {
  const { end, closest } = state.axis, span = Math.min(end, Math.max(Math.min(closest, end), to - from));
  const start = Math.min(end - span, Math.max(0, (from + to - span) / 2));
  Object.assign(state, { from: start, to: start + span });
  redraw();
}

/** Zoom by a factor, with the unit at `x` on the screen staying where it is. */
function zoom(factor, x = focusX()) {
  const at = toUnit(scene(), x), { from, to, axis } = state;
  const span = Math.min(axis.end, Math.max(Math.min(axis.closest, axis.end), (to - from) * factor));
  const start = at - ((at - from) / (to - from)) * span;
  look(start, start + span);
}

/** Where the keyboard zooms: at what is selected, if that is seen, else in the middle. */
function focusX() {
  const now = scene(), x = state.selected < 0 ? 0 : toX(now, state.axis.unit[state.selected]);
  return x >= GUTTER && x <= now.width ? x : GUTTER + plotWidth(now) / 2;
}

function pan(units) {
  const by = Math.max(-state.from, Math.min(units, state.axis.end - state.to));
  look(state.from + by, state.to + by);
}

function showPhase(n) {
  const [from, to] = state.axis.bands[n], air = (to - from) * 0.03;
  look(from - air, to + air);
}

/** Scroll and pan until a row is seen. */
function reveal(i) {
  const now = scene(), place = placeOf(now, i), unit = state.axis.unit[i], span = state.to - state.from;
  if (unit < state.from + span * 0.02 || unit > state.to - span * 0.02) look(unit - span / 2, unit + span / 2);
  if (!place || !state.session.laneOf[i].ring) return;
  if (place.top < state.layout.top) scroller.scrollTop -= state.layout.top - place.top + 4;
  else if (place.top + place.height > now.height) scroller.scrollTop += place.top + place.height - now.height + 8;
}

// Selecting

function select(i) {
  Object.assign(state, { selected: i, ring: null });
  if (i >= 0) {
    reveal(i);
    say(told(state.session, i));
  }
  showPanel();
  redraw();
}

function selectRing(ring) {
  Object.assign(state, { selected: -1, ring: ring.index });
  say(ringLabel(state.session, ring.index));
  showPanel();
  redraw();
}

/** Nothing is selected; the keyboard goes on in the timeline. */
function deselect() {
  select(-1);
  canvas.focus();
}

function showPanel() {
  const { session, selected, ring } = state;
  const content = selected >= 0 ? messagePanel(session, selected, select, deselect)
    : ring !== null ? ringPanel(session, session.rings.find((each) => each.index === ring), deselect)
    : sessionPanel(session, showPhase);
  byId("panel").replaceChildren(...content);
  byId("panel").scrollTop = 0;
}

const say = (words) => { byId("said").textContent = words; };

// Theme

function setDark(dark) {
  state.dark = dark;
  document.documentElement.classList.toggle("dark", dark);
  byId("theme").setAttribute("aria-pressed", String(dark));
  state.colours = readColours();
  if (state.session) redraw();
}
