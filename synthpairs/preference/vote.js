"use strict";
// Shows one couple after another. The server knows what is generated; this page knows left and right.

const SIDES = ["left", "right"];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", ArrowUp: "undo" };
const part = (id) => document.getElementById(id);
let place = null; // of the couple in sight; null while none can be voted on

async function show(state) {
  const { done, total } = state;
  part("progress").max = total;
  part("progress").value = done;
  part("count").textContent = `${done} of ${total}`;
  part("caption").textContent = state.caption ?? "That was the last one. Thank you!";
  part("pictures").hidden = part("tie").hidden = state.place === null;
  if (state.place !== null) {
    const images = SIDES.map((side) => part(side).querySelector("img"));
    images.forEach((image, number) => { image.src = `picture/${state.place}/${SIDES[number]}`; });
    await Promise.all(images.map((image) => image.decode())); // nobody votes on what is not in sight yet
  }
  place = state.place;
  part("message").textContent = "";
  enable(done);
  document.documentElement.dataset.place = String(place);
}

function enable(done) {
  for (const id of [...SIDES, "tie"]) part(id).disabled = place === null;
  part("undo").disabled = done === 0;
}

async function choose(choice) {
  if (part(choice).disabled) return;
  const told = choice === "undo" ? {} : { place, choice };
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  await ask(choice === "undo" ? "undo" : "vote", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(told),
  });
}

async function ask(path, request) {
  try {
    const reply = await fetch(path, request);
    if (!reply.ok && reply.status !== 409) throw new Error(`${reply.status} ${reply.statusText}`);
    await show(await reply.json()); // 409: another window was faster; what it left is shown
  } catch (error) {
    part("message").textContent = `Not kept (${error.message}). Is the command still running? Load the page again.`;
  }
}

for (const id of [...SIDES, "tie", "undo"]) part(id).addEventListener("click", () => choose(id));
addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  choose(KEYS[event.key]);
});
ask("state");
