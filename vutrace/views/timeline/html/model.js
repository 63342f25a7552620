// The data of the page as sessions, with their rows as columns. See columns.py for what they mean.

const FROM_BACKEND = 1, NEED_REPLY = 2, PROBLEM = 4, ON_BACKEND = 8, ON_GPU = 16;

const data = JSON.parse(document.getElementById("data").textContent);
const kindNumber = Object.fromEntries(data.kinds.map((kind, number) => [kind, number]));
const text = (place) => data.texts[place];

/** Running sums, in place. */
function summed(steps) {
  for (let i = 1; i < steps.length; i++) steps[i] += steps[i - 1];
  return steps;
}

/** The sessions of all connections, those with columns decoded when they are first looked at. */
const sessions = data.connections.flatMap((connection) =>
  connection.sessions.map((session) => ({ ...session, connection, ready: false })));

/** A session, ready to be drawn. */
function opened(session) {
  if (session.ready) return session;
  const rows = session.rows;
  summed(rows.number);
  summed(rows.time);
  session.count = rows.number.length;
  session.position = new Map(rows.number.map((number, i) => [number, i]));
  session.partner = partners(session);
  session.phaseOf = phases(session);
  session.ready = true;
  return session;
}

/** Where the reply of a request and the request of a reply stand; -1 for none. */
function partners(session) {
  const { number, request } = session.rows;
  const partner = new Int32Array(number.length).fill(-1);
  request.forEach((distance, i) => {
    const asked = distance ? session.position.get(number[i] - distance) : undefined;
    if (asked === undefined) return;
    partner[i] = asked;
    partner[asked] = i;
  });
  return partner;
}

/** The phase of each row as its place in the session's phases; -1 before and between them. */
function phases(session) {
  const found = new Int32Array(session.rows.number.length).fill(-1);
  session.phases.forEach((phase, p) => {
    if (phase.first === null) return;
    for (let i = atLeast(session.rows.number, phase.first); i < found.length; i++) {
      if (session.rows.number[i] > phase.last) break;
      found[i] = p;
    }
  });
  return found;
}

/** The first place in a sorted column whose value is not below `wanted`. */
function atLeast(column, wanted) {
  let low = 0, high = column.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < wanted) low = middle + 1; else high = middle;
  }
  return low;
}

const kindOf = (session, i) => data.kinds[session.rows.kind[i]];
const isReply = (session, i) => session.rows.kind[i] === kindNumber.reply;
const nameOf = (session, i) => text(session.rows.name[i]);
const glyphOf = (name, kind) => data.glyphs[name] || data.glyphs[kind] || "";

/** A length of time in the unit that suits it. */
function duration(ns) {
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]])
    if (Math.abs(ns) >= size) return `${Number((ns / size).toPrecision(3))} ${unit}`;
  return `${Math.round(ns)} ns`;
}

const seconds = (ns) => `${(ns / 1e9).toFixed(6)} s`;
const UNTIMED = "unknown, only the order is";
/** When a session's row was; a log without times tells only the order. */
const when = (session, ns) => (session.timed ? seconds(ns) : "time unknown");

/** How long something lasted, behind other words; nothing where times are not known. */
const lasting = (session, ns) => (session.timed ? `, ${duration(ns)}` : "");

/** A ring as it is called. */
function ringLabel(session, index) {
  const ring = session.rings.find((each) => each.index === index);
  return ring && ring.name ? `ring ${index} ${ring.name}` : `ring ${index}`;
}

/** A row in one line, as the tooltip and the screen reader tell it. */
function told(session, i) {
  const { rows } = session;
  const reply = isReply(session, i) ? " reply" : "";
  const ring = rows.ring[i] < 0 ? "" : `, ${ringLabel(session, rows.ring[i])}`;
  return `${nameOf(session, i)}${reply}${ring}, row ${rows.number[i]}, ${when(session, rows.time[i])}`;
}
