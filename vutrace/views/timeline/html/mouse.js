// The mouse and its wheel.

// What is under the mouse

/** The row at a place of the canvas, or -1. */
function rowAt(x, y) {
  const now = scene(), lane = laneAt(now, y);
  if (!lane || x < GUTTER) return -1;
  const found = nearest(lane, state.axis, toUnit(now, x), (i) => state.matches[i]);
  return found >= 0 && Math.abs(toX(now, state.axis.unit[found]) - x) <= 9 ? found : -1;
}

function laneAt(now, y) {
  const { layout, fixed, rings } = now;
  if (y < layout.top - 4) return fixed[Math.floor((y - layout.fixedTop) / FIXED_HEIGHT)];
  return rings[layout.tops.findIndex((top) => y + now.scroll >= top - 1 && y + now.scroll < top + layout.height + 1)];
}

/** What the tooltip tells at a place. */
function tipAt(x, y) {
  const now = scene(), found = rowAt(x, y);
  if (found >= 0) return rowTip(found);
  const unit = toUnit(now, x), { session, axis, layout } = now;
  if (x < GUTTER || y < STRIP) return "";
  if (y >= STRIP + RULER && y < layout.loops) {
    const phase = session.phases.find((_, n) => unit >= axis.bands[n][0] && unit < axis.bands[n][1]);
    return phase ? `${phase.name}: ${phaseWords(session, phase)}` : "";
  }
  if (y >= layout.loops && y < layout.loops + LOOPS) return loopTip(now, x);
  const lane = laneAt(now, y);
  return lane && lane.ring ? spanTip(now, lane.ring, unit) : "";
}

function rowTip(i) {
  const { session } = state, { rows, partner } = session;
  const answered = rows.latency[i] || (partner[i] >= 0 && rows.latency[partner[i]]) || 0;
  const more = [text(rows.words[i]), text(rows.fds[i]), answered ? `answered after ${duration(answered)}` : ""];
  return [told(session, i), ...more.filter(Boolean)].join("\n");
}

function loopTip(now, x) {
  for (const phase of now.session.phases) for (const loop of phase.loops) for (const turn of loop.turns) {
    const [left, right] = edges(now, turn[1], turn[2]);
    if (x >= left && x < right) return `${turn[0]}: rows ${turn[1]}–${turn[2]}, one of ${loopLabel(loop)}${turn[3] ? `\n${turn[3]}` : ""}`;
  }
  return "";
}

function spanTip(now, ring, unit) {
  const at = ring.spans.findLastIndex((span, n) => now.axis.span(span, ring.spans[n + 1])[0] <= unit);
  if (at < 0) return `${ringLabel(now.session, ring.index)}: nothing yet`;
  const [words, from, to, row, rule] = ring.spans[at];
  return `${ringLabel(now.session, ring.index)}: ${words} from row ${row}${lasting(now.session, to - from)}\n${rule}`;
}

function showTip(words, x, y) {
  const tip = byId("tip");
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(x + 14, innerWidth - width - 8)}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
}

// Mouse

let drag = null;

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  const strip = event.offsetY < STRIP && event.offsetX >= GUTTER;
  drag = { x: event.offsetX, y: event.offsetY, from: state.from, top: scroller.scrollTop, moved: false, strip };
  if (strip) lookAtStrip(event.offsetX);
});

canvas.addEventListener("pointermove", (event) => {
  if (drag) return dragged(event);
  const before = state.hover;
  state.hover = rowAt(event.offsetX, event.offsetY);
  canvas.style.cursor = state.hover >= 0 ? "pointer" : "";
  showTip(tipAt(event.offsetX, event.offsetY), event.clientX, event.clientY);
  if (before !== state.hover) redraw();
});

function dragged(event) {
  const by = drag.x - event.offsetX;
  if (!drag.moved && Math.hypot(by, drag.y - event.offsetY) < 4) return;
  drag.moved = true;
  showTip("");
  if (drag.strip) return lookAtStrip(event.offsetX);
  canvas.style.cursor = "grabbing";
  const now = scene(), span = state.to - state.from;
  pan(drag.from + (by / plotWidth(now)) * span - state.from);
  scroller.scrollTop = drag.top + drag.y - event.offsetY;
}

/** Put the part that is seen where the mouse is in the strip. */
function lookAtStrip(x) {
  const now = scene(), middle = ((x - GUTTER) / plotWidth(now)) * state.axis.end, half = (state.to - state.from) / 2;
  look(middle - half, middle + half);
}

canvas.addEventListener("pointerup", (event) => {
  const was = drag;
  drag = null;
  canvas.style.cursor = "";
  if (was && !was.moved && !was.strip) clicked(event.offsetX, event.offsetY);
});

function clicked(x, y) {
  const now = scene(), found = rowAt(x, y), lane = laneAt(now, y);
  if (found >= 0) return select(found);
  if (x < GUTTER) return lane && lane.ring ? selectRing(lane.ring) : undefined;
  const phase = y >= STRIP + RULER && y < now.layout.loops
    ? now.axis.bands.findIndex(([from, to]) => toUnit(now, x) >= from && toUnit(now, x) < to) : -1;
  return phase >= 0 ? showPhase(phase) : select(-1);
}

canvas.addEventListener("pointerleave", () => {
  state.hover = -1;
  showTip("");
  redraw();
});

canvas.addEventListener("dblclick", (event) => zoom(0.35, event.offsetX));

canvas.addEventListener("wheel", (event) => {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) && !event.shiftKey;
  if (!sideways && (event.shiftKey || event.offsetX < GUTTER)) return; // the scroller's
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 30 : 1;
  if (sideways) pan((event.deltaX * lines / plotWidth(scene())) * (state.to - state.from));
  else zoom(1.0018 ** (event.deltaY * lines), Math.max(GUTTER, event.offsetX));
}, { passive: false });

scroller.addEventListener("wheel", (event) => {
  if (!event.shiftKey || event.deltaY === 0) return;
  event.preventDefault();
  scroller.scrollTop += event.deltaY;
}, { passive: false });
scroller.addEventListener("scroll", redraw, { passive: true });
