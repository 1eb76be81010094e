"use strict";
/* What is looked at, as the URL's hash has it: a link shows the same view to whoever opens it. */

const DEFAULTS = {
  view: "pairs", // pairs, concepts, reasons
  q: "",
  concept: "",
  source: "",
  arm: "",
  status: "",
  sort: "score",
  seed: "1", // of the random order
  pair: "", // id of the row in the dialog
};
const FILTERS = ["q", "concept", "source", "arm", "status"];

/* The state that the hash names; what it does not name is as in DEFAULTS. */
function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  const state = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    if (given.has(name)) state[name] = given.get(name);
  }
  if (!["pairs", "concepts", "reasons"].includes(state.view)) state.view = DEFAULTS.view;
  return state;
}

/* The hash of a state, with what differs from DEFAULTS. */
function hashOf(state) {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (state[name] !== value && (name !== "seed" || state.sort === "random")) told.set(name, state[name]);
  }
  return `#${told}`;
}

/* Put a state into the address without a new step in the browser's history: typing would make one a letter. */
function keepState(state) {
  history.replaceState(null, "", hashOf(state));
}
