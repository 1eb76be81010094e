"use strict";
// Shows one image pair of PAGE after another. Votes stay in this browser until they are saved as a file.

const SIDES = ["left", "right"];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", ArrowUp: "undo" };
const STORE = `synthpairs votes of ${PAGE.voter}`;
const part = (id) => document.getElementById(id);
const votes = restored(); // image or "tie" by pair
let index = null; // of the pair in sight; null while none can be voted on

function restored() {
  let stored = {};
  try { stored = JSON.parse(localStorage.getItem(STORE)) ?? {}; } catch { /* a browser may keep nothing for files */ }
  return new Map(PAGE.pairs.filter((pair) => Object.hasOwn(stored, pair.id)).map((pair) => [pair.id, stored[pair.id]]));
}

async function show() {
  const next = PAGE.pairs.findIndex((pair) => !votes.has(pair.id));
  const pair = PAGE.pairs[next];
  part("progress").max = PAGE.pairs.length;
  part("progress").value = votes.size;
  part("count").textContent = `${votes.size} of ${PAGE.pairs.length}`;
  part("caption").textContent = pair?.caption ?? "That was the last one. Thank you! Save your votes below.";
  part("pictures").hidden = part("tie").hidden = !pair;
  if (pair) {
    const images = SIDES.map((side) => part(side).querySelector("img"));
    images.forEach((image, number) => { image.src = `images/${pair.images[number]}.png`; });
    try {
      await Promise.all(images.map((image) => image.decode())); // nobody votes on what is not in sight yet
    } catch {
      part("caption").textContent = "An image is missing: the folder images must stand beside this page.";
      return;
    }
  }
  index = pair ? next : null;
  for (const id of [...SIDES, "tie"]) part(id).disabled = !pair;
  part("save").disabled = votes.size === 0;
  part("undo").disabled = votes.size === 0 || next === 0;
  document.documentElement.dataset.index = String(index);
}

function choose(choice) {
  if (part(choice).disabled) return;
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  if (choice === "undo") {
    const end = index ?? PAGE.pairs.length;
    votes.delete(PAGE.pairs[end - 1].id);
  } else {
    const pair = PAGE.pairs[index];
    votes.set(pair.id, choice === "tie" ? "tie" : pair.images[SIDES.indexOf(choice)]);
  }
  try { localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(votes))); } catch { /* as above */ }
  show();
}

function save() {
  const text = JSON.stringify({ voter: PAGE.voter, votes: Object.fromEntries(votes) }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `votes-${PAGE.voter || "anonymous"}.json`;
  link.click();
}

for (const id of [...SIDES, "tie", "undo"]) part(id).addEventListener("click", () => choose(id));
part("save").addEventListener("click", save);
addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  choose(KEYS[event.key]);
});
show();
