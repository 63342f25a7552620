// All sessions on one line of time, with the gaps between them; those that are alike, one after the other, are one.

const STRIP_LANE = 17, STRIP_LANES = 8;

/** Neighbouring sessions that came to the same, as {first, last, count} places in `sessions`. */
function groupsOf(all) {
  const groups = [];
  all.forEach((session, n) => {
    const group = groups[groups.length - 1], before = group && all[group.first];
    if (before && before.likeness && before.likeness === session.likeness && before.device === session.device) group.last = n;
    else groups.push({ first: n, last: n });
  });
  return groups;
}

const groups = groupsOf(sessions);
const countOf = (group) => sessions.slice(group.first, group.last + 1).reduce((sum, each) => sum + 1 + each.more, 0);
const groupOf = (n) => groups.find((group) => group.first <= n && n <= group.last);
const startOf = (group) => Math.min(...sessions.slice(group.first, group.last + 1).map((each) => each.start));
const endOf = (group) => Math.max(...sessions.slice(group.first, group.last + 1).map((each) => each.end));

/** A session in a line; many that are alike in one. */
function groupWords(group) {
  const session = sessions[group.first], many = countOf(group);
  const failed = session.failed ? "✖ " : session.look ? "! " : "";
  const which = many === 1 ? `session ${session.number}` : `${many.toLocaleString("en")} sessions that came to the same, here the first`;
  return `${failed}${session.connection.letter} · ${which} · ${session.device} · rows ${session.first}–${session.last}` +
    `${session.timed ? ` · ${duration(session.end - session.start)}` : ""} · ${session.connection.frontend || "?"} ⇄ ${session.connection.backend || "?"}`;
}

/** The lane of each group: the first whose last group is over; the last lane takes what finds none. */
function stripLanes() {
  const ends = [];
  return groups.map((group) => {
    const start = startOf(group), free = ends.findIndex((end) => end < start);
    const lane = free >= 0 ? free : Math.min(ends.length, STRIP_LANES - 1);
    ends[lane] = Math.max(ends[lane] || 0, endOf(group));
    return lane;
  });
}

const overview = { lanes: stripLanes(), first: Math.min(...sessions.map((each) => each.start)), last: Math.max(...sessions.map((each) => each.end)) };

/** Where a group is drawn: {x, wide, y}. */
function stripPlace(n, wide) {
  const whole = Math.max(1, overview.last - overview.first), room = wide - GUTTER - RIGHT;
  const at = (ns) => GUTTER + ((ns - overview.first) / whole) * room;
  const x = at(startOf(groups[n])), to = at(endOf(groups[n]));
  return { x, wide: Math.max(4, to - x), y: 4 + overview.lanes[n] * STRIP_LANE };
}

function drawOverview() {
  const canvas = byId("overview"), pen = canvas.getContext("2d"), { colours } = state;
  if (sessions.length < 2) return;
  const wide = canvas.clientWidth, high = Math.max(30, 8 + (Math.max(...overview.lanes) + 1) * STRIP_LANE), ratio = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(wide * ratio), height: Math.round(high * ratio) });
  canvas.style.height = `${high}px`;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.textBaseline = "middle";
  pen.fillStyle = colours.sunk;
  pen.fillRect(0, 0, wide, high);
  const omitted = data.connections.reduce((sum, each) => sum + each.omitted, data.connections_omitted);
  const drawn = groups.reduce((sum, each) => sum + countOf(each), 0);
  write(pen, `${(drawn + omitted).toLocaleString("en")} sessions`, 10, 10, colours.dim);
  if (omitted) write(pen, `${omitted.toLocaleString("en")} not here`, 10, 22, colours.dim);
  groups.forEach((group, n) => drawGroup(pen, group, stripPlace(n, wide)));
}

/** A bar; where it failed it is hatched and has a cross, where it is many how many they are. */
function drawGroup(pen, group, { x, wide, y }) {
  const { colours } = state, { failed, look } = sessions[group.first], high = STRIP_LANE - 3;
  pen.fillStyle = failed ? colours.wrong : colours.run;
  pen.fillRect(x, y, wide, high);
  if (failed) {
    within(pen, x, y, wide, high, () => hatch(pen, colours.back, x, x + wide, y, high));
  }
  if (look && wide > 12) write(pen, failed ? "✖" : "!", x + wide - 6, y + high / 2, colours.text, LETTERS, "center");
  if (countOf(group) > 1 && wide > 60) {
    const words = `${countOf(group).toLocaleString("en")} × the same`;
    pen.font = FONT;
    pen.fillStyle = colours.back;
    pen.fillRect(x + 4, y, pen.measureText(words).width + 6, high);
    write(pen, words, x + 7, y + high / 2 + 0.5, colours.text);
  }
  const open = sessions[group.first] === state.session || (sessions.indexOf(state.session) > group.first && sessions.indexOf(state.session) <= group.last);
  pen.strokeStyle = open ? colours.accent : colours.dim;
  pen.lineWidth = open ? 2 : 0.75;
  pen.strokeRect(x, y, wide, high);
}

/** Slanting lines over a place. */
function hatch(pen, colour, left, right, top, height) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (let x = left - height; x < right; x += 6) {
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
  }
  pen.stroke();
}

/** The group at a place of the strip, or -1. */
function groupAt(x, y) {
  const wide = byId("overview").clientWidth;
  return groups.findIndex((_, n) => {
    const place = stripPlace(n, wide);
    return x >= place.x - 2 && x <= place.x + place.wide + 2 && y >= place.y - 2 && y < place.y + STRIP_LANE;
  });
}

/** What became of the session, where something has to be done about it or is worth a look: words, and a way to the row. */
function showBanner() {
  const { session } = state, banner = byId("banner");
  banner.hidden = !session.look;
  if (!session.look) return banner.replaceChildren();
  banner.classList.toggle("calm", !session.failed);
  const row = session.broke !== null ? session.broke : session.wrong.length ? session.wrong[0][0] : null;
  banner.replaceChildren(
    make("b", {}, session.failed ? "✖ Something went wrong" : "! Worth a look"),
    make("span", {}, session.verdict),
    ...(row === null ? [] : [make("button", { onclick: () => select(session.position.get(row) ?? -1) }, `Show row ${row}`)]));
}
