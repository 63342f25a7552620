// Where rows stand from left to right: a column each, or true time in microseconds.

const SILENT = 12; // columns of a phase in which the device ran without a message, at least

/** One column per row; phases without messages have some room, too. */
function orderAxis(session) {
  const { number } = session.rows, silent = Math.max(SILENT, Math.round(number.length / 16));
  const unit = new Float64Array(number.length), bands = [];
  let at = 0, extra = 0, last = 0;
  const place = (until) => {
    for (; at < number.length && number[at] <= until; at++) unit[at] = at + extra + 0.5;
  };
  for (const phase of session.phases) {
    if (phase.first === null) {
      place(last);
      bands.push([at + extra, at + extra + silent]);
      extra += silent;
      continue;
    }
    place(phase.first - 1);
    const from = at + extra;
    place(phase.last);
    bands.push([from, at + extra]);
    last = Math.max(last, phase.last);
  }
  place(Infinity);
  const end = Math.max(1, at + extra);
  const row = (wanted) => {
    const i = atLeast(number, wanted);
    return i < unit.length ? unit[i] : end;
  };
  return {
    name: "order", unit, bands, end, closest: 4, row,
    span: (span, next) => [row(span[3]), next ? row(next[3]) : end],
    at: (ns) => {
      const i = atLeast(session.rows.time, ns);
      return i < unit.length ? unit[i] : end;
    },
    tick: (value) => orderTick(session, unit, value),
  };
}

/** What stands below a line of the ruler: the row there. */
function orderTick(session, unit, value) {
  const i = atLeast(unit, value);
  return i < unit.length && unit[i] - value < 1 ? `#${session.rows.number[i]}` : "";
}

/** True time from the session's start to its end. */
function timeAxis(session) {
  const toUnit = (ns) => (ns - session.start) / 1000;
  const unit = Float64Array.from(session.rows.time, toUnit);
  const end = Math.max(1, toUnit(session.end));
  return {
    name: "time", unit, end, closest: 2,
    bands: session.phases.map((phase) => [toUnit(phase.start), toUnit(phase.end)]),
    row: (wanted) => {
      const i = atLeast(session.rows.number, wanted);
      return i < unit.length ? unit[i] : end;
    },
    span: (span, next) => [toUnit(span[1]), next ? toUnit(next[1]) : end],
    at: toUnit,
    tick: (value, step) => `+${clock(value, step)}`,
  };
}

/** True time in which a gap between two rows takes no more room than the longer ones of the others do. */
function foldedAxis(session) {
  const { time, number } = session.rows, steps = Array.from(time, (at, i) => (i ? at - time[i - 1] : 0));
  const sorted = steps.filter((step) => step > 0).sort((one, other) => one - other);
  const usual = sorted[Math.floor(sorted.length * 0.8)] || 1000, most = Math.max(usual * 4, 1000);
  const gaps = [], unit = new Float64Array(time.length);
  let at = 0;
  steps.forEach((step, i) => {
    const shown = Math.min(Math.max(step, 0), most) / 1000;
    if (step > most) gaps.push([at, at + shown, step]);
    unit[i] = at += shown;
  });
  const end = Math.max(1, at);
  const place = (ns) => {
    const i = atLeast(time, ns);
    if (i >= time.length) return end;
    if (!i || time[i] === time[i - 1]) return unit[i];
    return unit[i - 1] + ((ns - time[i - 1]) / (time[i] - time[i - 1])) * (unit[i] - unit[i - 1]);
  };
  return {
    name: "folded", unit, end, closest: 2, gaps, at: place,
    bands: session.phases.map((phase) => [place(phase.start), place(phase.end)]),
    row: (wanted) => {
      const i = atLeast(number, wanted);
      return i < unit.length ? unit[i] : end;
    },
    span: (span, next) => [place(span[1]), next ? place(next[1]) : end],
    tick: (value, step) => `+${clock((time[Math.min(time.length - 1, atLeast(unit, value))] - session.start) / 1000, step)}`,
  };
}

/** A time with as many places as its step needs. */
function clock(microseconds, step) {
  if (step >= 1e5) return `${(microseconds / 1e6).toFixed(step >= 1e6 ? 0 : 1)} s`;
  if (step >= 100) return `${(microseconds / 1e3).toFixed(step >= 1e3 ? 0 : 1)} ms`;
  return `${microseconds.toFixed(step >= 1 ? 0 : 1)} µs`;
}

/** A round number of at least `least`: 1, 2 or 5 times a power of ten. */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}
