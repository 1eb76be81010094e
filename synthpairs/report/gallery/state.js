"use strict";
/* State of the view in the URL's hash, so that a link opens the same view. */

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

/* The state of the hash; missing values are those of DEFAULTS. */
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
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (state[name] !== value && (name !== "seed" || state.sort === "random")) parts.set(name, state[name]);
  }
  return `#${parts}`;
}

/* Put a state into the address; Back undoes it. Changes by one control in a row, as in typing, are one step. */
function keepState(state, control) {
  history[history.state === control ? "replaceState" : "pushState"](control, "", hashOf(state));
}
