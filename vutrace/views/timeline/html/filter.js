// What is to be seen: rows by words and kind, lanes by ring.

/** A test for ring lanes out of "0-3 tx1": numbers, ranges, or the beginnings of names. */
function ringTest(wanted) {
  const tests = wanted.toLowerCase().split(/[\s,]+/).filter(Boolean).map(ringWord);
  return (ring) => !tests.length || tests.some((test) => test(ring));
}

function ringWord(word) {
  const range = word.match(/^(\d+)(?:[-–](\d*))?$/);
  if (!range) return (ring) => ring.name.toLowerCase().startsWith(word);
  const first = Number(range[1]);
  const last = range[2] === undefined ? first : range[2] === "" ? Infinity : Number(range[2]);
  return (ring) => ring.index >= first && ring.index <= last;
}

/**
 * Which rows match: any of the words in the name, words or descriptors of a row (its kind with "reply"),
 * and its kind not switched off. Texts are looked at once each, not once per row.
 */
function matching(session, wanted, hiddenKinds) {
  const words = wanted.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const has = data.texts.map((each) => !words.length || words.some((word) => each.toLowerCase().includes(word)));
  const kinds = data.kinds.map((kind) => words.includes(kind));
  const { name, words: said, fds, kind } = session.rows;
  return Uint8Array.from(name, (_, i) => {
    const shown = !hiddenKinds.has(data.kinds[kind[i]]);
    return shown && (has[name[i]] || has[said[i]] || has[fds[i]] || kinds[kind[i]]) ? 1 : 0;
  });
}
