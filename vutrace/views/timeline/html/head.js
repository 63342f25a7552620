// Draws what stands above the rings: the strip, the ruler, phases, loops, and messages about the device.

// Messages about the device

function drawFixed(pen, scene) {
  const { layout, fixed, colours } = scene;
  fixed.forEach((lane, n) => {
    const top = layout.fixedTop + n * FIXED_HEIGHT;
    pen.fillStyle = colours.faint;
    pen.fillRect(GUTTER, top + FIXED_HEIGHT - 0.5, plotWidth(scene), 1);
    inPlot(pen, scene, () => {
      drawMarks(pen, scene, lane, top, FIXED_HEIGHT);
      drawNames(pen, scene, lane, top + FIXED_HEIGHT / 2);
    });
    write(pen, lane.label, 10, top + FIXED_HEIGHT / 2, lane.key === "once" ? colours.once : colours.text);
  });
  const { broke } = scene.session;
  if (broke !== null && !scene.rings.length) // no lane below that could be torn
    inPlot(pen, scene, () => tear(pen, colours.wrong, toX(scene, scene.axis.row(broke)) - 14, layout.fixedTop, layout.top - 5));
  pen.fillStyle = colours.line;
  pen.fillRect(0, layout.top - 5, scene.width, 1);
}

/** Beside the marks of a lane the names of the messages, where there is room. */
function drawNames(pen, scene, lane, y) {
  const { axis, session, colours } = scene;
  pen.font = FONT;
  for (let n = firstFrom(lane.items, axis.unit, scene.from); n < lane.items.length; n++) {
    const i = lane.items[n], x = toX(scene, axis.unit[i]);
    if (x > scene.width) break;
    const kind = kindOf(session, i);
    if (kind === "reply" || !scene.matches[i]) continue;
    const next = n + 1 < lane.items.length ? toX(scene, axis.unit[lane.items[n + 1]]) : scene.width;
    if (next - x < 50) continue;
    const name = nameOf(session, i);
    if (pen.measureText(name).width < next - x - 22)
      write(pen, name, x + 11, y, kind === "once" ? colours.once : kind === "event" ? colours.dim : colours.text);
  }
}

// Phases and loops

function drawPhases(pen, scene) {
  const top = STRIP + RULER, { session, axis, colours } = scene;
  write(pen, "phase", 10, top + PHASES / 2, colours.dim);
  inPlot(pen, scene, () => session.phases.forEach((phase, n) => {
    const [left, right] = axis.bands[n].map((unit) => toX(scene, unit));
    if (right < GUTTER || left > scene.width) return;
    pen.fillStyle = phaseColour(scene, phase.name);
    pen.fillRect(left, top + 1, Math.max(1, right - left - 1), PHASES - 2);
    const from = Math.max(left, GUTTER), to = Math.min(right, scene.width);
    const took = scene.session.timed ? `${phase.name}   ${duration(phase.end - phase.start)}` : phase.name;
    pen.font = FONT;
    caption(pen, pen.measureText(took).width + 16 < to - from ? took : phase.name, from, to, top + PHASES / 2 + 0.5, colours.text);
  }));
}

/** The turns of each loop side by side; where they are narrow, how many there are. */
function drawLoops(pen, scene) {
  write(pen, "loop", 10, scene.layout.loops + LOOPS / 2, scene.colours.dim);
  inPlot(pen, scene, () => {
    for (const phase of scene.session.phases) for (const loop of phase.loops) drawLoop(pen, scene, loop);
  });
}

function drawLoop(pen, scene, loop) {
  const top = scene.layout.loops, [left, right] = edges(scene, loop.first, loop.last);
  if (right < GUTTER || left > scene.width) return;
  const { colours } = scene;
  pen.fillStyle = colours.select;
  pen.fillRect(left, top + 1, right - left, LOOPS - 2);
  let widest = 0;
  loop.turns.forEach((turn, n) => {
    const [from, to] = edges(scene, turn[1], turn[2]);
    widest = Math.max(widest, to - from);
    if (to < GUTTER || from > scene.width) return;
    pen.fillStyle = colours.select; // a caption changed it
    if (n % 2 === 0) pen.fillRect(from, top + 1, Math.max(0.7, to - from), LOOPS - 2);
    if (to - from > 40) caption(pen, turn[0], Math.max(from, GUTTER) - 2, to, top + LOOPS / 2 + 0.5, colours.text);
  });
  if (widest <= 40) caption(pen, loopLabel(loop), Math.max(left, GUTTER), Math.min(right, scene.width), top + LOOPS / 2 + 0.5, colours.text, BOLD);
}

const loopLabel = (loop) => `${loop.turns.length * loop.repeats} × ${loop.turns[0][0].split(" ")[0]}`;

/** The sides of a range of rows on the screen. */
function edges(scene, first, last) {
  const half = scene.axis.name === "order" ? 0.5 : 0;
  return [toX(scene, scene.axis.row(first) - half), toX(scene, scene.axis.row(last) + half)];
}

// Where we are

function drawRuler(pen, scene) {
  const { colours, axis } = scene, unitsPerPixel = (scene.to - scene.from) / plotWidth(scene);
  const least = unitsPerPixel * 92, step = roundStep(axis.name === "order" ? Math.max(1, least) : least);
  inPlot(pen, scene, () => {
    for (let value = Math.ceil(scene.from / step) * step; value <= scene.to; value += step) {
      const x = toX(scene, value);
      pen.fillStyle = colours.line;
      pen.fillRect(x, STRIP + 4, 1, RULER - 4);
      const words = axis.tick(value, step);
      pen.font = FONT;
      if (x + 4 + pen.measureText(words).width < scene.width) write(pen, words, x + 4, STRIP + RULER / 2 + 2, colours.dim);
    }
  });
  write(pen, axis.name === "order" ? "row" : "time", 10, STRIP + RULER / 2 + 2, colours.dim);
}

/** The whole session in a strip: phases, how many messages there are where, and the part that is seen. */
function drawStrip(pen, scene) {
  const { colours, axis, session } = scene, whole = { ...scene, from: 0, to: axis.end };
  pen.fillStyle = colours.raised;
  pen.fillRect(0, 0, scene.width, STRIP);
  session.phases.forEach((phase, n) => {
    const [left, right] = axis.bands[n].map((unit) => toX(whole, unit));
    pen.fillStyle = phaseColour(scene, phase.name);
    pen.fillRect(left, 3, Math.max(0.5, right - left), STRIP - 7);
  });
  drawDensity(pen, whole);
  drawWindow(pen, scene, toX(whole, scene.from), toX(whole, scene.to));
  pen.fillStyle = colours.line;
  pen.fillRect(0, STRIP, scene.width, 1);
}

function drawDensity(pen, whole) {
  const { axis, colours, matches } = whole, size = 3, count = Math.ceil(plotWidth(whole) / size);
  const bins = new Uint32Array(count + 1);
  axis.unit.forEach((unit, i) => { bins[Math.max(0, Math.min(count, Math.floor(unit / axis.end * count)))] += matches[i]; });
  const most = Math.max(1, ...bins);
  pen.fillStyle = colours.dim;
  pen.globalAlpha = 0.55;
  bins.forEach((each, n) => {
    const height = each && Math.max(1.5, Math.sqrt(each / most) * (STRIP - 10));
    pen.fillRect(GUTTER + n * size, STRIP - 4 - height, size - 1, height);
  });
  pen.globalAlpha = 1;
}

function drawWindow(pen, scene, left, right) {
  if (right - left > plotWidth(scene) - 1) return;
  pen.fillStyle = scene.colours.back;
  pen.globalAlpha = 0.65;
  pen.fillRect(GUTTER, 2, left - GUTTER, STRIP - 5);
  pen.fillRect(right, 2, scene.width - RIGHT - right, STRIP - 5);
  pen.globalAlpha = 1;
  pen.strokeStyle = scene.colours.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(left, 2, Math.max(3, right - left), STRIP - 5);
}
