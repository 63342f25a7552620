// Buttons and fields; then the page begins.

function toggleDensity() {
  state.fitAll = !state.fitAll;
  byId("density").setAttribute("aria-pressed", String(state.fitAll));
  arrange();
}

const CLICKS = {
  order: () => setScale("order"), folded: () => setScale("folded"), time: () => setScale("time"), in: ANYWHERE["+"], out: ANYWHERE["-"], fit: ANYWHERE[0],
  density: toggleDensity, theme: ANYWHERE.d, keys: ANYWHERE["?"],
};
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
for (const id of SCALES) byId(id).addEventListener("keydown", (event) => {
  if (!event.key.startsWith("Arrow")) return;
  const step = event.key === "ArrowLeft" || event.key === "ArrowUp" ? SCALES.length - 1 : 1;
  setScale(SCALES[(SCALES.indexOf(id) + step) % SCALES.length]);
  byId(state.scale).focus();
});
for (const id of ["messages", "rings"]) byId(id).addEventListener("input", refilter);
byId("session").addEventListener("change", (event) => openSession(Number(event.target.value)));

// The page begins

/** Paper is light, whatever the screen is. */
function toPaper() {
  document.documentElement.classList.remove("dark");
  fillPaper({ ...scene(), from: 0, to: state.axis.end, colours: readColours() });
}

const darkWanted = matchMedia("(prefers-color-scheme: dark)");
darkWanted.addEventListener("change", () => setDark(darkWanted.matches));
setDark(darkWanted.matches);
if (sessions.length) {
  byId("session").append(...groups.map((group) => make("option", { value: group.first }, groupWords(group))));
  byId("overview").addEventListener("click", (event) => {
    const found = groupAt(event.offsetX, event.offsetY);
    if (found >= 0) openSession(groups[found].first);
  });
  byId("overview").addEventListener("mousemove", (event) => {
    const found = groupAt(event.offsetX, event.offsetY);
    byId("overview").title = found < 0 ? "" : `${groupWords(groups[found])}\n${sessions[groups[found].first].verdict}`;
  });
  openSession(Math.max(0, sessions.findIndex((session) => session.failed)));
  new ResizeObserver(arrange).observe(scroller);
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", () => setDark(state.dark));
} else byId("panel").append("Nothing to draw: the capture has no records.");
