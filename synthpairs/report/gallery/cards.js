"use strict";
/* One row as a card. Data is only ever inserted as text, never as HTML. */

/* An element with properties, and children that are elements or strings. */
function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(node.dataset, value);
    else if (name in node && name !== "role") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/* A number with fixed decimals; a dash for none. */
function fixed(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function statusText(row) {
  if (row.status === "real") return "real pair";
  return row.reason && row.status !== "selected" ? `${row.status}: ${inWords(row.reason)}` : row.status;
}

/* The image with the caption as alternative text, or an empty frame. */
function frame(row) {
  if (!row.picture) return element("span", { className: "frame empty" }, "no image");
  return element("span", { className: "frame" }, element("img", {
    loading: "lazy", decoding: "async", alt: row.text, src: `pictures/${row.picture}`,
  }));
}

/* Button of a row: image, caption, scores, status; the caller adds the click handler. */
function card(row) {
  const caption = element("span", { className: "caption", title: row.text }, row.text || "(empty)");
  if (row.picture) caption.setAttribute("aria-hidden", "true"); // it is the image's alternative text
  return element("button", { type: "button", className: "card", data: { id: row.id, status: row.status } },
    frame(row),
    caption,
    row.kind === "rejected" ? why(row) : scores(row),
    element("span", { className: "foot" },
      element("span", { className: "status" }, row.kind === "rejected" ? row.status : statusText(row)),
      element("span", {}, row.rank === null ? "" : `#${row.rank}`)));
}

/* Why a caption was rejected: in words, with the filter's name on hover, and the number behind it, on hover all of it. */
function why(row) {
  const reason = element("b", { title: row.reason }, inWords(row.reason));
  return element("span", { className: "why", title: row.detail }, reason, row.detail);
}

/* The scores, each with its name. */
function scores(row) {
  const values = row.kind === "candidate" ? [["score", row.score], ["CLIP", row.clip], ["SSIM", row.ssim]] : [["CLIP", row.clip]];
  return element("span", { className: "scores" },
    ...values.map(([name, value]) => element("span", {}, element("small", {}, `${name} `), fixed(value))));
}
