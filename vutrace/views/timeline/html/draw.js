// Draws a scene on a canvas. A scene is a value: what is on the screen and what is printed are drawn alike.
//
// {session, axis, fixed, rings, layout, from, to, width, height, scroll, colours, matches, selected, hover}

const GUTTER = 104, RIGHT = 10, BOX = 17, GLYPH_ROOM = 8, FADED = 0.13;
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const BOLD = `600 ${FONT}`, LETTERS = '600 10px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const NAMES = [
  "back", "raised", "sunk", "line", "faint", "text", "dim", "accent", "select", "wrong", "letter",
  "configure", "kick", "call", "err", "enable-1", "enable-0", "stop", "other", "once", "device", "reply", "event",
  "stopped", "configured", "started", "running",
  "init", "features", "start", "run", "stop-phase", "migration", "reset",
];
const PHASE_COLOURS = { running: "run", stop: "stop-phase" };

/** The colours of the style sheet as they are now. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const plotWidth = (scene) => Math.max(10, scene.width - GUTTER - RIGHT);
const toX = (scene, unit) => GUTTER + ((unit - scene.from) / (scene.to - scene.from)) * plotWidth(scene);
const toUnit = (scene, x) => scene.from + ((x - GUTTER) / plotWidth(scene)) * (scene.to - scene.from);
const kindColour = (scene, kind) => scene.colours[kind.replace(" ", "-")] || scene.colours.other;
const phaseColour = (scene, name) => scene.colours[PHASE_COLOURS[name] || name] || scene.colours.sunk;

function draw(pen, scene) {
  pen.fillStyle = scene.colours.back;
  pen.fillRect(0, 0, scene.width, scene.height);
  pen.textBaseline = "middle";
  within(pen, 0, scene.layout.top - 4, scene.width, scene.height, () => drawRings(pen, scene));
  drawFixed(pen, scene);
  drawPhases(pen, scene);
  drawLoops(pen, scene);
  drawRuler(pen, scene);
  drawStrip(pen, scene);
  drawSelection(pen, scene);
}

/** Draw with everything outside of a rectangle left as it is. */
function within(pen, left, top, width, height, action) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  action();
  pen.restore();
}

const inPlot = (pen, scene, action) => within(pen, GUTTER, 0, plotWidth(scene) + RIGHT, scene.height, action);

function write(pen, words, x, y, colour, font = FONT, align = "left") {
  pen.fillStyle = colour;
  pen.font = font;
  pen.textAlign = align;
  pen.fillText(words, x, y);
}

/** Words in a box, where they fit in. */
function caption(pen, words, left, right, y, colour, font = FONT) {
  pen.font = font;
  if (pen.measureText(words).width + 10 <= right - left) write(pen, words, left + 6, y, colour, font);
}

// Rings

function drawRings(pen, scene) {
  const { layout, rings, scroll } = scene;
  const shown = rings.map((lane, i) => i).filter((i) => {
    const y = layout.tops[i] - scroll;
    return y + layout.height > layout.top - 6 && y < scene.height;
  });
  inPlot(pen, scene, () => {
    for (const i of shown) drawSpans(pen, scene, rings[i], layout.tops[i] - scroll);
    for (const i of shown) drawMoves(pen, scene, rings[i], layout.tops[i] - scroll);
    for (const i of shown) drawMarks(pen, scene, rings[i], layout.tops[i] - scroll, layout.height);
    drawBreak(pen, scene, shown);
    drawGaps(pen, scene);
  });
  drawLabels(pen, scene, shown);
}

function drawSpans(pen, scene, lane, top) {
  const { spans } = lane.ring, height = scene.layout.height, inset = height >= 8 ? 1.5 : 0;
  fillBar(pen, scene.colours.stopped, GUTTER, scene.width - RIGHT, top + inset, height - 2 * inset);
  spans.forEach((span, i) => {
    if (span[0] === "stopped") return;
    const [from, to] = scene.axis.span(span, spans[i + 1]).map((unit) => toX(scene, unit));
    if (to < GUTTER || from > scene.width) return;
    fillBar(pen, scene.colours[span[0]] || scene.colours.configured, from, Math.max(to, from + 0.5), top + inset, height - 2 * inset);
  });
}

/** What moved in a ring, as a line: as high as the lane where the most did. */
function drawMoves(pen, scene, lane, top) {
  const { samples } = lane.ring, { height } = scene.layout;
  if (!samples || height < 8) return;
  const most = samples.reduce((least, [, used]) => Math.max(least, used), 1);
  pen.strokeStyle = scene.colours.text;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const [time, used] of samples) {
    pen.lineTo(toX(scene, scene.axis.at(time)), top + height - 2 - (height - 4) * used / most);
  }
  pen.stroke();
}

function tear(pen, colour, x, top, bottom) {
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x, top);
  for (let y = top + 4, side = 1; y < bottom; y += 5, side = -side) pen.lineTo(x + 3 * side, y);
  pen.stroke();
}

/** Where the session broke off: a torn line through all lanes, and a cross on each ring that ran. */
function drawBreak(pen, scene, shown) {
  const { session, layout, colours, rings, scroll } = scene;
  if (session.broke === null) return;
  const x = toX(scene, scene.axis.row(session.broke));
  tear(pen, colours.wrong, x, layout.top - 4, rings.length ? layout.bottom - scroll : layout.top - 4);
  for (const i of shown) {
    const last = rings[i].ring.spans.filter((span) => span[3] < session.broke).pop(), y = layout.tops[i] - scroll;
    if (!last || last[0] === "stopped") continue;
    fillBar(pen, colours.back, x + 4, scene.width - RIGHT, y, layout.height);
    within(pen, x + 4, y, scene.width, layout.height, () => hatch(pen, colours.wrong, x + 4, scene.width - RIGHT, y + 1, layout.height - 2));
    if (layout.height >= 8) write(pen, "✖", x, y + layout.height / 2, colours.wrong, BOLD, "center");
  }
}

/** Time that was cut short, and how much. */
function drawGaps(pen, scene) {
  const { axis, layout, colours } = scene;
  for (const [from, to, ns] of axis.gaps || []) {
    const left = toX(scene, from), right = toX(scene, to);
    if (right < GUTTER || left > scene.width) continue;
    pen.globalAlpha = 0.5;
    const y = Math.min(layout.bottom - scene.scroll, scene.height - 18);
    within(pen, left, y, right - left, 14, () => hatch(pen, colours.dim, left, right, y, 14));
    pen.globalAlpha = 1;
    pen.font = FONT;
    const words = duration(ns), wide = pen.measureText(words).width + 6;
    if (wide > right - left) continue;
    fillBar(pen, colours.back, (left + right - wide) / 2, (left + right + wide) / 2, y, 14);
    write(pen, words, (left + right) / 2, y + 7, colours.dim, FONT, "center");
  }
}

function fillBar(pen, colour, left, right, top, height) {
  pen.fillStyle = colour;
  const from = Math.max(left, GUTTER - 2);
  pen.fillRect(from, top, right - from, height);
}

/** Names of rings, as many as there is room for, with a line beside each queue pair. */
function drawLabels(pen, scene, shown) {
  const { layout, rings, scroll } = scene;
  const every = Math.max(1, Math.ceil(12 / layout.height));
  for (const i of shown) {
    const y = layout.tops[i] - scroll + layout.height / 2, { ring } = rings[i];
    if (i % every === 0) {
      const middle = Math.max(y, layout.top + 4 - scroll);
      write(pen, String(ring.index), 36, middle, scene.colours.dim, FONT, "right");
      write(pen, rings[i].label, 44, middle, scene.colours.text, scene.ring === ring.index ? BOLD : FONT);
    }
    if (ring.pair !== null) {
      pen.fillStyle = ring.pair % 2 ? scene.colours.line : scene.colours.dim;
      pen.fillRect(GUTTER - 7, y - layout.height / 2 + 0.5, 2, layout.height);
    }
  }
}

// What is selected

/** Where a row is drawn: {x, top, height}, or null when its lane is not. */
function placeOf(scene, i) {
  const { layout, session } = scene, lane = session.laneOf[i], x = toX(scene, scene.axis.unit[i]);
  const n = lane.ring ? scene.rings.indexOf(lane) : scene.fixed.indexOf(lane);
  if (n < 0) return null;
  if (!lane.ring) return { x, top: layout.fixedTop + n * FIXED_HEIGHT, height: FIXED_HEIGHT };
  return { x, top: layout.tops[n] - scene.scroll, height: layout.height };
}

function drawSelection(pen, scene) {
  if (scene.hover >= 0) outline(pen, scene, scene.hover, scene.colours.dim, 1.5);
  if (scene.selected < 0) return;
  const place = placeOf(scene, scene.selected);
  if (place && place.x >= GUTTER) {
    pen.fillStyle = scene.colours.accent;
    pen.globalAlpha = 0.45;
    pen.fillRect(place.x - 0.5, STRIP + 1, 1, scene.height);
    pen.globalAlpha = 1;
  }
  outline(pen, scene, scene.selected, scene.colours.accent, 2.5);
  const partner = scene.session.partner[scene.selected];
  if (partner >= 0) outline(pen, scene, partner, scene.colours.accent, 1);
}

function outline(pen, scene, i, colour, wide) {
  const place = placeOf(scene, i);
  if (!place || place.x < GUTTER - 4 || (scene.session.laneOf[i].ring && place.top < scene.layout.top - place.height)) return;
  pen.strokeStyle = colour;
  pen.lineWidth = wide;
  pen.beginPath();
  pen.roundRect(place.x - 9, place.top + place.height / 2 - Math.max(8, place.height / 2 - 1), 18, Math.max(16, place.height - 2), 4);
  pen.stroke();
}
