// The side panel: a message, a ring, or the session as a whole. Texts of a capture are never read as HTML.

/** An element with attributes, and children that are elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const facts = (pairs) => make("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) =>
  [make("dt", {}, name), make("dd", {}, value)]));

const closer = (close) => make("button", { class: "close", title: "Close (Esc)", "aria-label": "Close details", onclick: close }, "×");

// A message

/** Everything about row `i`; `go(row)` selects another, `close()` none. */
function messagePanel(session, i, go, close) {
  const { rows } = session, kind = kindOf(session, i), size = rows.size[i];
  const tree = text(rows.tree[i]), bytes = text(rows.bytes[i]);
  return [
    closer(close),
    make("h2", {}, nameOf(session, i)),
    make("p", {}, badge(kind), make("span", { class: "dim" }, direction(session, i))),
    text(rows.words[i]) ? make("p", {}, text(rows.words[i])) : null,
    facts(messageFacts(session, i)),
    messageLinks(session, i, go),
    ...(tree ? [make("h3", {}, "Dissection"), treeOf(tree)] : []),
    ...(bytes ? [make("h3", {}, `Bytes (header 12, payload ${size})`), make("pre", { class: "hex" }, hexdump(bytes))] : []),
  ].filter(Boolean);
}

function badge(kind) {
  const words = kind === "once" ? "once per device" : kind;
  return make("span", { class: "badge", style: `background: var(--${kind.replace(" ", "-")})` }, words);
}

function direction(session, i) {
  const flags = session.rows.flags[i];
  if (kindOf(session, i) === "event") return "event";
  const channel = flags & ON_BACKEND ? ", back-end channel" : flags & ON_GPU ? ", GPU channel" : "";
  const asks = flags & NEED_REPLY ? ", asks for a reply" : "";
  return (flags & FROM_BACKEND ? "back-end → front-end" : "front-end → back-end") + channel + asks;
}

function messageFacts(session, i) {
  const { rows, partner, phaseOf } = session;
  const found = [["row", String(rows.number[i])], ["time", session.timed ? seconds(rows.time[i]) : UNTIMED]];
  if (i && session.timed) found.push(["since row before", duration(rows.time[i] - rows.time[i - 1])]);
  if (rows.ring[i] >= 0) found.push(["ring", ringLabel(session, rows.ring[i])]);
  if (phaseOf[i] >= 0) found.push(["phase", session.phases[phaseOf[i]].name]);
  if (rows.latency[i]) found.push(["answered after", duration(rows.latency[i])]);
  else if (partner[i] >= 0 && !isReply(session, i)) found.push(["answered after", duration(rows.latency[partner[i]])]);
  if (rows.fds[i]) found.push(["descriptors", text(rows.fds[i])]);
  return found;
}

function messageLinks(session, i, go) {
  const { rows, partner } = session, link = (to, words) => make("button", { onclick: () => go(to) }, words);
  return make("div", { class: "links" },
    i > 0 ? link(i - 1, "← previous") : null,
    i + 1 < session.count ? link(i + 1, "next →") : null,
    partner[i] >= 0 ? link(partner[i], `${isReply(session, i) ? "request" : "reply"} [${rows.number[partner[i]]}]`) : null);
}

/** The lines of `vutrace show -V`, with what is wrong and the bits set apart. */
function treeOf(tree) {
  return make("pre", { class: "tree" }, ...tree.split("\n").map(treeLine));
}

function treeLine(line) {
  const depth = line.search(/\S|$/), words = line.trimStart();
  const style = `margin-left: ${depth / 2}em`;
  if (words.startsWith("! ")) return make("div", { style, class: "wrong" }, words);
  if (/^\+? *\d+ [A-Z]/.test(words)) return make("div", { style, class: "taken" }, words);
  if (/^- *\d+ [A-Z]/.test(words)) return make("div", { style, class: "refused" }, words);
  const [, name, rest] = words.match(/^([\w[\] ]+:)( .*|)$/) || [null, "", words];
  return make("div", { style }, make("b", {}, name), rest);
}

/** Offset, hex, ASCII; secret bytes are starred. */
function hexdump(digits) {
  const bytes = digits.match(/../g), lines = [];
  for (let at = 0; at < bytes.length; at += 8) {
    const part = bytes.slice(at, at + 8);
    const letters = part.map((byte) => (byte === "**" ? "*" : letterOf(parseInt(byte, 16)))).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${part.join(" ").padEnd(23)}  ${letters}`);
  }
  return lines.join("\n");
}

const letterOf = (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".");

// A ring

/** A ring as `vutrace queues` tells it, and its states. */
function ringPanel(session, ring, close) {
  return [
    closer(close),
    make("h2", {}, ringLabel(session, ring.index)),
    make("p", { class: "dim" }, "as it stood at the end of the session"),
    facts(ring.facts.slice(2)),
    make("h3", {}, "States"),
    ...ring.spans.map(([state, from, to, row, rule]) => make("p", {},
      make("b", {}, state), ` from row ${row}${session.timed ? ` at ${seconds(from)}, ${duration(to - from)}` : ""}`,
      make("span", { class: "dim" }, rule ? ` — ${rule}` : ""))),
  ];
}

// The session

/** What the session is and its phases; a click on a phase shows it: `show(n)`. */
function sessionPanel(session, show) {
  return [
    make("h2", {}, `Session ${session.number}, ${session.device}`),
    session.reason ? make("p", { class: "dim" }, session.reason) : null,
    facts(sessionFacts(session)),
    session.verdict ? make("h3", {}, session.failed ? "✖ What became of it" : "What became of it") : null,
    session.verdict ? make("p", { class: session.failed ? "wrong" : "" }, session.verdict) : null,
    ...session.wrong.map(([row, words]) => make("p", { class: "wrong" },
      make("button", { onclick: () => select(session.position.get(row) ?? -1) }, `! row ${row}`), ` ${words}`)),
    ...session.owing.map((words) => make("p", { class: "wrong" }, words)),
    make("h3", {}, "Agreed and shared"),
    facts(session.agreed),
    make("h3", {}, "Phases"),
    ...session.phases.map((phase, n) => make("button", { class: "phase", style: `--tint: ${phaseVariable(phase.name)}`, onclick: () => show(n) },
      make("b", {}, phase.name), make("span", { class: "dim" }, phaseWords(session, phase)), ...phase.lines.map(loopLine))),
    session.phases_omitted ? make("p", { class: "dim" }, `${session.phases_omitted} phases between are left out`) : null,
  ].filter(Boolean);
}

function sessionFacts(session) {
  const found = [
    ["front-end", session.connection.frontend || "?"],
    ["back-end", session.connection.backend || "?"],
    ["rows", `${session.first}–${session.last}`],
    ["time", session.timed ? `${seconds(session.start)} – ${seconds(session.end)}` : UNTIMED],
    ["rings", String(session.rings.length)],
    ["ended", session.ended],
  ];
  if (session.problems) found.push(["problems", session.problems === 1 ? "in 1 row" : `in ${session.problems} rows`]);
  if (session.omitted) found.push(["not in this page", session.omitted === 1 ? "1 row" : `${session.omitted} rows`]);
  return found;
}

const phaseVariable = (name) => `var(--${PHASE_COLOURS[name] || name})`;

function phaseWords(session, phase) {
  const { first, last } = phase;
  const rows = first === null ? "no messages" : first === last ? `row ${first}` : `rows ${first}–${last}`;
  return rows + lasting(session, phase.end - phase.start);
}

/** Loops in words; what goes out once per device, {IN BRACES}, is red. */
function loopLine(line) {
  const parts = line.split(/(\{[^}]*\})/);
  return make("code", {}, ...parts.map((part) => (part.startsWith("{") ? make("span", { class: "once" }, part.slice(1, -1)) : part)));
}
