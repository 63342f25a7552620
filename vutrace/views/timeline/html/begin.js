// Buttons and fields; then the page begins.

function toggleDensity() {
  state.fitAll = !state.fitAll;
  byId("density").setAttribute("aria-pressed", String(state.fitAll));
  arrange();
}

const CLICKS = {
  order: () => setScale("order"), time: () => setScale("time"), in: ANYWHERE["+"], out: ANYWHERE["-"], fit: ANYWHERE[0],
  density: toggleDensity, theme: ANYWHERE.d, keys: ANYWHERE["?"],
};
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
for (const id of ["order", "time"]) byId(id).addEventListener("keydown", (event) => {
  if (!event.key.startsWith("Arrow")) return;
  setScale(id === "order" ? "time" : "order");
  byId(state.scale).focus();
});
for (const id of ["messages", "rings"]) byId(id).addEventListener("input", refilter);
byId("session").addEventListener("change", (event) => openSession(Number(event.target.value)));

// The page begins

const sessionWords = (session) =>
  `${session.connection.letter} · session ${session.number} · ${session.device} · rows ${session.first}–${session.last}` +
  ` · ${duration(session.end - session.start)} · ${session.connection.frontend || "?"} ⇄ ${session.connection.backend || "?"}`;

/** Paper is light, whatever the screen is. */
function toPaper() {
  document.documentElement.classList.remove("dark");
  fillPaper({ ...scene(), from: 0, to: state.axis.end, colours: readColours() });
}

const darkWanted = matchMedia("(prefers-color-scheme: dark)");
darkWanted.addEventListener("change", () => setDark(darkWanted.matches));
setDark(darkWanted.matches);
if (sessions.length) {
  byId("session").append(...sessions.map((session, n) => make("option", { value: n }, sessionWords(session))));
  openSession(0);
  new ResizeObserver(arrange).observe(scroller);
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", () => setDark(state.dark));
} else byId("panel").append("Nothing to draw: the capture has no records.");
