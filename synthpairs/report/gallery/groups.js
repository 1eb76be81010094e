"use strict";
/* Views by group: concepts by mean CLIP cosine, and rejected captions by reason. */

/* Groups of the shown rows as {title, summary, rows, link}; `link` is the state that shows all of a group. */
function groupsOf(shown, state) {
  return state.view === "concepts" ? worstConcepts(shown, state) : rejections(shown, state);
}

/* Concepts of scored candidates, the lowest mean first; in each the worst pair first. */
function worstConcepts(shown, state) {
  const scored = shown.filter((row) => row.kind === "candidate" && row.clip !== null);
  return [...grouped(scored, (row) => row.concept)]
    .map(([concept, members]) => {
      const mean = members.reduce((sum, row) => sum + row.clip, 0) / members.length;
      const selected = members.filter((row) => row.status === "selected").length;
      return {
        title: concept,
        mean,
        summary: `mean CLIP ${fixed(mean)}, ${plural(members.length, "candidate")}, ${selected} selected`,
        rows: members.sort((one, other) => one.clip - other.clip || compare(one.id, other.id)),
        link: { ...state, view: "pairs", concept, sort: "clip-low", pair: "" },
      };
    })
    .sort((one, other) => one.mean - other.mean || compare(one.title, other.title));
}

/* Reasons, the most frequent first; in each the order of the view. */
function rejections(shown, state) {
  const rejected = shown.filter((row) => row.status === "rejected");
  return [...grouped(rejected, (row) => row.reason)]
    .map(([reason, members]) => ({
      title: inWords(reason),
      name: reason,
      summary: `${plural(members.length, "caption")}, ${share(members.length, rejected.length)} of these rejections`,
      rows: members,
      link: { ...state, view: "pairs", status: `rejected:${reason}`, pair: "" },
    }))
    .sort((one, other) => other.rows.length - one.rows.length || compare(one.title, other.title));
}

/* A group with one line of its cards. */
function groupElement(group, columns, open) {
  const cards = group.rows.slice(0, columns).map((row) => {
    const button = card(row);
    button.addEventListener("click", () => open(row));
    return element("li", {}, button);
  });
  return element("section", { className: "group", "aria-label": group.title },
    element("div", { className: "head" },
      element("h2", { title: group.name ?? "" }, group.title),
      element("p", {}, group.summary),
      ...(group.rows.length > columns
        ? [element("a", { href: hashOf(group.link) }, `Show all ${group.rows.length.toLocaleString("en")}`)] : [])),
    element("ul", { role: "list" }, ...cards));
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function share(part, whole) {
  return `${(100 * part / whole).toFixed(1)}%`;
}
