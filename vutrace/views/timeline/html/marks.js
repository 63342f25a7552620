// Draws the messages of a lane: letters where there is room, else lines.

function drawMarks(pen, scene, lane, top, height) {
  const { axis, session } = scene, { items } = lane;
  const scale = plotWidth(scene) / (scene.to - scene.from), margin = 20 / scale;
  let previous = -Infinity, drawn = "";
  for (let n = firstFrom(items, axis.unit, scene.from - margin); n < items.length; n++) {
    const i = items[n], unit = axis.unit[i];
    if (unit > scene.to + margin) break;
    const x = GUTTER + (unit - scene.from) * scale;
    const next = n + 1 < items.length ? GUTTER + (axis.unit[items[n + 1]] - scene.from) * scale : Infinity;
    const same = `${Math.round(x)} ${scene.matches[i] ? session.rows.kind[i] : "faded"}`;
    if (same !== drawn) drawMark(pen, scene, i, x, top, height, Math.min(x - previous, next - x));
    if (session.rows.flags[i] & PROBLEM) drawProblem(pen, scene, x, top);
    drawn = same;
    previous = x;
  }
}

/** The place of the first item whose unit is not below `from`. */
function firstFrom(items, unit, from) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (unit[items[middle]] < from) low = middle + 1; else high = middle;
  }
  return low;
}

function drawMark(pen, scene, i, x, top, height, room) {
  const kind = kindOf(scene.session, i);
  pen.globalAlpha = scene.matches[i] ? 1 : FADED;
  if (kind === "reply") drawReply(pen, scene, i, x, top, height, room);
  else if (room >= GLYPH_ROOM && height >= 12) drawLetter(pen, scene, kind, i, x, top, height, room);
  else drawLine(pen, kindColour(scene, kind), x, top, height, room);
  pen.globalAlpha = 1;
}

function drawLine(pen, colour, x, top, height, room) {
  const wide = Math.min(4, Math.max(1.25, room - 1)), inset = height >= 12 ? 3 : height >= 6 ? 1 : 0;
  pen.fillStyle = colour;
  pen.fillRect(x - wide / 2, top + inset, wide, height - 2 * inset);
}

function drawLetter(pen, scene, kind, i, x, top, height, room) {
  const size = Math.min(BOX, height - 3), wide = Math.min(size, room - 1);
  pen.fillStyle = kindColour(scene, kind);
  pen.beginPath();
  const letter = glyphOf(nameOf(scene.session, i), kind);
  if (letter) pen.roundRect(x - wide / 2, top + (height - size) / 2, wide, size, 3);
  else pen.arc(x, top + height / 2, kind === "once" ? 6 : 4, 0, 7);
  pen.fill();
  if (letter) write(pen, letter, x, top + height / 2 + 0.5, scene.colours.letter, LETTERS, "center");
}

/** A reply: a small ring, and how long it was waited for. */
function drawReply(pen, scene, i, x, top, height, room) {
  const { partner } = scene.session, asked = partner[i], middle = top + height / 2;
  pen.strokeStyle = pen.fillStyle = scene.colours.reply;
  if (asked >= 0 && height >= 8) {
    const from = toX(scene, scene.axis.unit[asked]);
    if (x - from > 8) pen.fillRect(from + 7, middle - 0.75, x - from - 7 - (room >= 8 ? 4 : 0), 1.5);
  }
  if (room < 8 || height < 10) {
    pen.fillRect(x - 0.75, middle - height / 5, 1.5, height / 2.5);
    return;
  }
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.arc(x, middle, 3.2, 0, 7);
  pen.stroke();
}

function drawProblem(pen, scene, x, top) {
  pen.fillStyle = scene.colours.wrong;
  pen.beginPath();
  pen.arc(x, top + 4, 6, 0, 7);
  pen.fill();
  write(pen, "!", x, top + 4.5, scene.colours.letter, LETTERS, "center");
}
