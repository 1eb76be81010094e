"use strict";
/* Dialog of one row: all images of its caption, and every field. */

const LABELS = {
  status: "Status", reason: "Reason", detail: "Detail", rank: "Rank", score: "Weighted score", clip: "CLIP cosine",
  ssim: "SSIM", concept: "Concept", source: "Caption source", arms: "In arms", words: "Words",
  perplexity: "Perplexity", judge_yes: "P(yes) of the judge", clip_original: "CLIP cosine with the original",
  id: "Key", uid: "Caption uid", number: "Candidate number", seed: "Noise seed",
  generator: "Generator fingerprint", tokens: "Prompt tokens", clip_tokens: "CLIP tokens",
  sha256: "SHA-256 of the image", shard: "Shard in data/images", picture: "Image file",
};
const DIGITS = { score: 6, clip: 6, ssim: 6, clip_original: 4, judge_yes: 4, perplexity: 1 };

const dialog = document.getElementById("detail");

/* Fill the dialog with a row of the list `shown`, or another one, and open it. `place`: where the list goes on, -1 before its
   first row; `go(row)` shows another row. */
function showDetail(row, place, shown, go) {
  const count = shown.length.toLocaleString("en");
  document.getElementById("detail-position").textContent = shown[place] === row
    ? `${(place + 1).toLocaleString("en")} of ${count}` : `not among the ${count} shown`;
  // Not `disabled`: a disabled button would lose the focus, and the dialog its arrow keys.
  document.getElementById("previous").setAttribute("aria-disabled", String(place <= 0));
  document.getElementById("next").setAttribute("aria-disabled", String(place === shown.length - 1));
  document.getElementById("detail-title").textContent = row.text || "(empty)";
  const family = rowsByCaption.get(row.uid);
  document.getElementById("detail-siblings").replaceChildren(...family.map((one) => sibling(one, one === row, go)));
  document.getElementById("detail-fields").replaceChildren(...fields(row));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function sibling(row, current, go) {
  const title = { candidate: `candidate ${row.number}`, real: "original", rejected: "caption" }[row.kind];
  const button = element("button", { type: "button", className: "sibling", data: { id: row.id } },
    frame(row),
    element("span", { className: "name" }, `${title}, ${statusText(row)}`),
    scores(row));
  if (current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => {
    go(row);
    document.querySelector("#detail-siblings [aria-current]").focus(); // the focused button was replaced
  });
  return element("li", {}, button);
}

function fields(row) {
  return Object.entries(LABELS)
    .filter(([field]) => row[field] !== null && row[field] !== "" && !(field === "arms" && !row.arms.length))
    .map(([field, label]) => {
      const value = row[field];
      const text = field in DIGITS ? fixed(value, DIGITS[field]) : Array.isArray(value) ? value.join(", ") : String(value);
      const cell = field === "reason" ? element("dd", { title: value }, inWords(value)) : element("dd", {}, text);
      return element("div", {}, element("dt", {}, label), cell);
    });
}
