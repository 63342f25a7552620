// What is printed: the lanes over as many pages as they need, then the phases in words. The page is light by then.

const PAPER_WIDTH = 1040, LANES_PER_PAGE = 44;

/** Fill the printed section from the scene on the screen. */
function fillPaper(scene) {
  const { session } = scene;
  document.getElementById("paper").replaceChildren(
    make("h1", {}, `vutrace: connection ${session.connection.letter}, session ${session.number}, ${session.device}`),
    make("p", {}, `${session.connection.frontend} ⇄ ${session.connection.backend}, rows ${session.first}–${session.last}, ` +
      `${session.timed ? `${seconds(session.start)} – ${seconds(session.end)}` : "times unknown"}, ${session.ended}`),
    ...(session.failed ? [make("p", {}, make("b", {}, "✖ Something went wrong: "), session.verdict)] : []),
    ...slices(scene.rings).map((rings) => paperCanvas({ ...scene, rings })),
    ...session.phases.flatMap((phase) => [
      make("h2", {}, `${phase.name}: ${phaseWords(session, phase)}`),
      make("pre", {}, ...phase.lines.map((line) => make("div", {}, loopLine(line)))),
    ]),
    ...(scene.selected < 0 ? [] : [make("h2", {}, told(session, scene.selected)), treeOf(text(session.rows.tree[scene.selected]))]));
}

/** The lanes of each page; one page without lanes where there are none. */
function slices(rings) {
  const found = [];
  for (let at = 0; at < Math.max(1, rings.length); at += LANES_PER_PAGE) found.push(rings.slice(at, at + LANES_PER_PAGE));
  return found;
}

function paperCanvas(scene) {
  const canvas = make("canvas"), placed = layout(scene.fixed, scene.rings, 620, true);
  const whole = { ...scene, layout: placed, width: PAPER_WIDTH, height: placed.bottom, scroll: 0, hover: -1 };
  canvas.width = PAPER_WIDTH * 2;
  canvas.height = placed.bottom * 2;
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  draw(pen, whole);
  return canvas;
}
