"use strict";
/* The page: puts state, filters, list and dialog together. `document.documentElement.dataset` says what is shown, for
   whoever tests the page. */

const CARD = { least: 148, gap: 12, text: 7.7 }; // pixels, pixels, and rem of a card's lines of text
const HEAD = { wide: 2.2, narrow: 3.4 }; // rem of a group's heading, which is two lines where it is narrow
const report = document.documentElement.dataset;
const form = document.getElementById("filters");
const main = document.getElementById("pairs");
const narrow = matchMedia("(max-width: 40rem)");

let state = readState();
let shown = []; // rows in the view's order
let list = null; // Windowed
let current = 0; // index of the card that the Tab key reaches
let resting = null; // where the focus was when the dialog opened

function fillForm() {
  const options = (name, entries) => form.elements[name].append(...entries.map(([value, label]) => new Option(label, value)));
  for (const [name, field] of [["concept", "concept"], ["source", "source"], ["arm", "arms"]]) {
    options(name, tally(field).map(([value, count]) => [value, `${value} (${count.toLocaleString("en")})`]));
  }
  const names = { real: "real pair", rejected: "rejected, for any reason" };
  options("status", tally("status").map(([value, count]) => [value, `${names[value] ?? value} (${count.toLocaleString("en")})`]));
  const reasons = grouped(rows.filter((row) => row.status === "rejected"), (row) => row.reason);
  const found = [...reasons].sort(([, one], [, other]) => other.length - one.length);
  const group = element("optgroup", { label: "rejected for" });
  group.append(...found.map(([reason, members]) => new Option(`${reason} (${members.length})`, `rejected:${reason}`)));
  if (found.length) form.elements.status.append(group);
}

function fillHeader() {
  const { counts, limit, select, generator, scorer } = GALLERY.about;
  const nouns = { candidate: "candidate", real: "real pair", rejected: "rejected caption" };
  const told = Object.entries(counts).map(([kind, { all, shown: few }]) =>
    few < all ? `${few.toLocaleString("en")} of ${plural(all, nouns[kind])}` : plural(all, nouns[kind]));
  const cut = Object.values(counts).some((count) => count.shown < count.all);
  document.getElementById("summary").textContent = `${told.join(", ")}. ${cut
    ? `Of each at most ${limit.toLocaleString("en")}: of the candidates a third are the best by score, a third the worst, a third random; the others are random.`
    : "All are here."}`;
  document.getElementById("formula").textContent =
    `${select.clip_weight} × ${select.clip_scale} × max(CLIP, 0) + ${select.ssim_weight} × SSIM. `
    + `The selection: ${select.k.toLocaleString("en")} pairs, strategy “${select.strategy}”`
    + `${select.best_of ? ", the best candidate of each caption" : ""}.`;
  document.getElementById("models").textContent = `Painted by ${generator}; scored by ${scorer}.`;
}

/* Show the state: form, links, rows; with `top` from the first row on. */
function apply(top = true) {
  const started = performance.now();
  for (const name of [...FILTERS, "sort", "seed"]) {
    const field = form.elements[name];
    if (field.value !== state[name]) field.value = state[name];
    if (field.value !== state[name]) field.value = state[name] = DEFAULTS[name]; // a link from another data set
  }
  document.getElementById("seeded").hidden = state.sort !== "random";
  form.elements.sort.disabled = state.view === "concepts"; // worst first, always
  document.getElementById("clear").disabled = FILTERS.every((name) => !state[name]);
  for (const link of document.querySelectorAll("#views a")) {
    link.href = hashOf({ ...state, view: link.dataset.view, pair: "" });
    if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (top && scrollY > main.offsetTop) scrollTo({ top: main.offsetTop - covered(), behavior: "instant" });
  const found = ordered(state).filter(filterOf(state));
  if (state.view === "pairs") showPairs(found);
  else showGroups(groupsOf(found, state));
  Object.assign(report, { shown: shown.length, total: rows.length, first: shown[0]?.id ?? "" });
  report.ms = (performance.now() - started).toFixed(2);
  count();
}

function showPairs(found) {
  shown = found;
  current = 0;
  const grid = element("ol", { className: "grid", role: "list" });
  put(grid, shown.length, gridLayout, (index) => {
    const button = card(shown[index]);
    button.tabIndex = index === current ? 0 : -1;
    button.addEventListener("click", () => open(shown[index]));
    button.addEventListener("focus", () => reach(index));
    return element("li", { "aria-setsize": shown.length, "aria-posinset": index + 1 }, button);
  });
  report.groups = 0;
}

function showGroups(groups) {
  shown = groups.flatMap((group) => group.rows);
  const stack = element("div", { className: "grid" });
  put(stack, groups.length, (width) => {
    const one = gridLayout(width);
    const head = (narrow.matches ? HEAD.narrow : HEAD.wide) * rem();
    stack.style.setProperty("--card", `${one.width}px`);
    stack.style.setProperty("--head", `${head}px`);
    return { columns: 1, width, height: one.height + head, gap: 24 };
  }, (index) => groupElement(groups[index], gridLayout(stack.clientWidth).columns, open));
  report.groups = groups.length;
}

function put(element_, length, layout, make) {
  main.replaceChildren(element_);
  list = new Windowed(element_, length, layout, make);
  if (!length) main.replaceChildren(element("p", { className: "nothing" }, "Nothing passes these filters."));
  tellCards();
}

function gridLayout(width) {
  const least = narrow.matches ? 132 : CARD.least;
  const columns = Math.max(1, Math.floor((width + CARD.gap) / (least + CARD.gap)));
  const side = (width - CARD.gap * (columns - 1)) / columns;
  return { columns, width: side, height: side + CARD.text * rem(), gap: CARD.gap };
}

function rem() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/* How many pixels the filters cover at the top of the screen. */
function covered() {
  const bar = document.querySelector("search");
  return getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
}

function tellCards() {
  report.cards = main.querySelectorAll(".card").length;
}

let telling = 0;

/* Say how many are shown, once typing pauses: a screen reader should not read every number on the way. */
function count() {
  const text = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`
    + (state.view === "pairs" ? "" : `, in ${plural(Number(report.groups), state.view === "concepts" ? "concept" : "reason")}`);
  clearTimeout(telling);
  telling = setTimeout(() => { document.getElementById("count").textContent = text; }, report.ready ? 250 : 0);
}

/* Make a card the one that the Tab key reaches. */
function reach(index) {
  for (const button of main.querySelectorAll('.card[tabindex="0"]')) button.tabIndex = -1;
  current = index;
  const button = list.items.get(index)?.querySelector(".card");
  if (button) button.tabIndex = 0;
  return button;
}

function focusCard(index) {
  list.reveal(index, covered());
  reach(index)?.focus({ preventScroll: true });
  tellCards();
}

/* Keys within the grid: the arrows go to the card on that side, Home and End to the first and the last. */
function moved(key) {
  const { columns } = list.size;
  const page = Math.max(1, Math.floor((innerHeight - covered()) / (list.size.height + list.size.gap))) * columns;
  const to = {
    ArrowRight: current + 1, ArrowLeft: current - 1, ArrowDown: current + columns, ArrowUp: current - columns,
    PageDown: current + page, PageUp: current - page, Home: 0, End: shown.length - 1,
  }[key];
  if (to === undefined) return null;
  const last = shown.length - 1;
  if (key === "ArrowDown" && to > last) return Math.floor(last / columns) > Math.floor(current / columns) ? last : current;
  if (key.startsWith("Page")) return Math.min(Math.max(to, 0), last);
  return to < 0 || to > last ? current : to;
}

/* Open the dialog with a row, or go on to it. */
function open(row) {
  if (!dialog.open) resting = document.activeElement;
  state.pair = row.id;
  keepState(state);
  showDetail(row, shown.indexOf(row), shown.length, open);
  report.pair = row.id;
}

function step(by) {
  const place = shown.indexOf(rowById.get(state.pair));
  if (place >= 0 && shown[place + by]) open(shown[place + by]);
}

/* After the dialog: the focus goes to the card of the row that was looked at last. */
function closed() {
  const place = shown.indexOf(rowById.get(state.pair));
  state.pair = "";
  report.pair = "";
  keepState(state);
  if (state.view === "pairs" && place >= 0) focusCard(place);
  else if (resting?.isConnected) resting.focus();
}

function listen() {
  form.addEventListener("input", (event) => {
    state[event.target.name] = event.target.value;
    keepState(state);
    apply();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("clear").addEventListener("click", () => {
    for (const name of FILTERS) state[name] = DEFAULTS[name];
    keepState(state);
    apply();
    form.elements.q.focus();
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash is the view's
    main.focus();
  });
  addEventListener("hashchange", () => {
    state = readState();
    if (dialog.open && !state.pair) dialog.close();
    apply();
    if (rowById.has(state.pair)) open(rowById.get(state.pair));
  });
  main.addEventListener("keydown", (event) => {
    if (state.view !== "pairs" || !event.target.matches(".card") || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = moved(event.key);
    if (to === null) return;
    event.preventDefault();
    focusCard(to);
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // beside it
  dialog.addEventListener("close", closed);
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("close").addEventListener("click", () => dialog.close());
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; list.draw(); tellCards(); });
  }, { passive: true });
  let width = main.clientWidth;
  new ResizeObserver(() => {
    if (main.clientWidth === width) return;
    width = main.clientWidth;
    if (state.view === "pairs") { list.measure(); tellCards(); } else apply(false); // more columns, more cards a group
  }).observe(main);
}

fillForm();
fillHeader();
apply(false);
listen();
if (rowById.has(state.pair)) open(rowById.get(state.pair));
report.ready = "yes";
