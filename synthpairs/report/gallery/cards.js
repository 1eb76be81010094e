"use strict";
/* One row as a card. Text of the data only ever becomes text: nothing here or elsewhere sets HTML. */

/* An element with properties, and children that are elements or strings. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(made.dataset, value);
    else if (name in made && name !== "role") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/* A number with so many digits behind the point; a dash for none. */
function fixed(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function statusText(row) {
  if (row.status === "real") return "real pair";
  return row.reason && row.status !== "selected" ? `${row.status}: ${row.reason}` : row.status;
}

/* The picture, or an empty frame; its alternative text is the caption. */
function frame(row) {
  if (!row.picture) return element("span", { className: "frame empty" }, "no picture");
  return element("span", { className: "frame" }, element("img", {
    loading: "lazy", decoding: "async", alt: row.text, src: `pictures/${row.picture}`,
  }));
}

/* A button that stands for the row: picture, caption, scores, status. Who puts it somewhere says what a click does. */
function card(row) {
  const caption = element("span", { className: "caption", title: row.text }, row.text || "(empty)");
  if (row.picture) caption.setAttribute("aria-hidden", "true"); // the picture has said it
  return element("button", { type: "button", className: "card", data: { id: row.id, status: row.status } },
    frame(row),
    caption,
    row.kind === "rejected" ? element("span", { className: "why" }, row.detail) : scores(row),
    element("span", { className: "foot" },
      element("span", { className: "status" }, statusText(row)),
      element("span", {}, row.rank === null ? "" : `#${row.rank}`)));
}

/* The scores side by side, each below its name. */
function scores(row) {
  const values = row.kind === "candidate" ? [["score", row.score], ["CLIP", row.clip], ["SSIM", row.ssim]] : [["CLIP", row.clip]];
  return element("span", { className: "scores" },
    ...values.map(([name, value]) => element("span", {}, element("small", {}, `${name} `), fixed(value))));
}
