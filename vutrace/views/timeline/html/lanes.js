// Which lanes there are, what stands in each, and how high they are.

const FIXED = [["once", "once per device"], ["device", "device"], ["backend", "back-end channel"], ["gpu", "GPU channel"]];

/** All lanes of a session: {key, label, ring, items}; items are rows in order, ring lanes come last. */
function lanesOf(session) {
  const fixed = FIXED.map(([key, label]) => ({ key, label, ring: null, items: [] }));
  const rings = session.rings.map((ring) => ({ key: ring.index, label: ring.name || `ring ${ring.index}`, ring, items: [] }));
  const byKey = new Map([...fixed, ...rings].map((lane) => [lane.key, lane]));
  session.laneOf = new Array(session.count);
  for (let i = 0; i < session.count; i++) {
    session.laneOf[i] = byKey.get(laneKey(session, i)) || byKey.get("device");
    session.laneOf[i].items.push(i);
  }
  return { fixed: fixed.filter((lane) => lane.items.length), rings };
}

/** A reply stands in the lane of its request. */
function laneKey(session, i) {
  const { rows, partner } = session;
  if (isReply(session, i) && partner[i] >= 0) return laneKey(session, partner[i]);
  if (rows.ring[i] >= 0) return rows.ring[i];
  if (rows.flags[i] & ON_BACKEND) return "backend";
  if (rows.flags[i] & ON_GPU) return "gpu";
  return rows.kind[i] === kindNumber.once ? "once" : "device";
}

const STRIP = 26, RULER = 20, PHASES = 21, LOOPS = 17, FIXED_HEIGHT = 22, PAIR_GAP = 5;
const TALLEST = 30, READABLE = 15, THINNEST = 2;

/** Tops and heights of everything, for lanes that are to fit into `room` (or be readable). */
function layout(fixed, rings, room, fitAll) {
  const loops = STRIP + RULER + PHASES, top = loops + LOOPS + 3 + fixed.length * FIXED_HEIGHT + 5;
  const gaps = rings.filter((lane, i) => i && startsPair(rings, i)).length;
  const space = Math.max(40, room - top - 10);
  const gap = fitAll ? Math.min(PAIR_GAP, Math.floor(space * 0.15 / Math.max(1, gaps))) : PAIR_GAP;
  const fitting = (space - gaps * gap) / Math.max(1, rings.length);
  const height = Math.min(TALLEST, Math.max(fitAll ? THINNEST : READABLE, Math.floor(fitting * 4) / 4));
  let y = top;
  const tops = rings.map((lane, i) => {
    if (i && startsPair(rings, i)) y += gap;
    y += height;
    return y - height;
  });
  return { loops, fixedTop: loops + LOOPS + 3, top, height, tops, bottom: y + 8 };
}

/** Whether a lane begins a queue pair. */
function startsPair(rings, i) {
  const { pair } = rings[i].ring;
  return pair === null ? false : pair !== rings[i - 1].ring.pair;
}

/** Of a lane's rows the one nearest to `unit` that passes `test`; -1 for none. */
function nearest(lane, axis, unit, test) {
  let low = 0, high = lane.items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (axis.unit[lane.items[middle]] < unit) low = middle + 1; else high = middle;
  }
  const distance = (i) => Math.abs(axis.unit[i] - unit);
  const before = seek(lane.items, low - 1, -1, test), after = seek(lane.items, low, 1, test);
  if (before < 0 || after < 0) return Math.max(before, after);
  return distance(before) < distance(after) ? before : after;
}

/** The first row from `at` on in steps that passes; -1 for none. */
function seek(items, at, step, test) {
  for (; at >= 0 && at < items.length; at += step) if (test(items[at])) return items[at];
  return -1;
}
