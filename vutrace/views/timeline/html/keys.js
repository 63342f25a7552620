// The keyboard.

/** The next row in a direction that passes the filters, in the same lane or in all of them. */
function beside(step, anywhere) {
  const { session, selected, matches, axis, from, to } = state;
  const seen = (i) => matches[i] && isDrawn(i);
  if (selected < 0) {
    const first = seek(session.rows.number.map((_, i) => i), 0, 1, (i) => seen(i) && axis.unit[i] >= from && axis.unit[i] <= to);
    return first;
  }
  if (anywhere) {
    for (let i = selected + step; i >= 0 && i < session.count; i += step) if (seen(i)) return i;
    return -1;
  }
  const { items } = session.laneOf[selected];
  return seek(items, items.indexOf(selected) + step, step, seen);
}

const isDrawn = (i) => !state.session.laneOf[i].ring || state.rings.includes(state.session.laneOf[i]);

/** The nearest row in the next lane that has one. */
function across(step) {
  if (state.selected < 0) return beside(1, true);
  const lanes = [...state.lanes.fixed, ...state.rings], unit = state.axis.unit[state.selected];
  for (let n = lanes.indexOf(state.session.laneOf[state.selected]) + step; n >= 0 && n < lanes.length; n += step) {
    const found = nearest(lanes[n], state.axis, unit, (i) => state.matches[i]);
    if (found >= 0) return found;
  }
  return -1;
}

const go = (i) => { if (i >= 0) select(i); };
const page = (part) => { scroller.scrollTop += part * scroller.clientHeight * 0.8; };
const span = () => state.to - state.from;

const ON_TIMELINE = {
  ArrowLeft: () => go(beside(-1, false)), ArrowRight: () => go(beside(1, false)),
  ArrowUp: () => go(across(-1)), ArrowDown: () => go(across(1)),
  Enter: () => byId("panel").focus(), PageUp: () => page(-1), PageDown: () => page(1),
  Home: () => look(0, span()), End: () => look(state.axis.end - span(), state.axis.end),
};
const ANYWHERE = {
  n: () => go(beside(1, true)), p: () => go(beside(-1, true)),
  r: () => { if (state.selected >= 0) go(state.session.partner[state.selected]); },
  a: () => pan(-span() * 0.25), s: () => pan(span() * 0.25),
  "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: () => look(0, state.axis.end),
  t: () => setScale(SCALES[(SCALES.indexOf(state.scale) + 1) % SCALES.length]), f: () => toggleDensity(),
  d: () => setDark(!state.dark),
  "/": () => byId("messages").focus(), "?": () => byId("help").showModal(), Escape: () => deselect(),
};

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (target.matches("input, select")) return inField(event);
  const action = (target === canvas && ON_TIMELINE[event.key]) || ANYWHERE[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

/** Escape and Enter leave a filter; the first of them empties it. */
function inField(event) {
  if (event.key !== "Escape" && event.key !== "Enter") return;
  if (event.target.matches("select")) return;
  event.preventDefault();
  if (event.key === "Escape") event.target.value = "";
  refilter();
  canvas.focus();
}
