"use strict";
/* Rows of data.js: filters and orders. Independent of the page. */

const NO_CONCEPT = "(none)";
const KEY_DIGITS = 8; // least length of a search word that may be the beginning of a key

/* A reason of a rejection in words; other reasons stand as they are. */
const inWords = (reason) => GALLERY.about.reasons[reason] ?? reason;

const rows = GALLERY.rows.map((values) => {
  const row = {};
  GALLERY.fields.forEach((field, index) => { row[field] = values[index]; });
  for (const field of ["rank", "number"]) if (row[field] !== null) row[field] += 1; // data files count from 0, people from 1
  row.concept ||= NO_CONCEPT;
  row.find = [row.text, row.concept, row.reason, inWords(row.reason), row.detail].join(" ").toLowerCase();
  return row;
});
const rowById = new Map(rows.map((row) => [row.id, row]));
const rowsByCaption = grouped(rows, (row) => row.uid);

/* Items by key; Map.groupBy is in browsers since 2024 only. */
function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (groups.has(key)) groups.get(key).push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/* How often each value of a field occurs, in the values' order; a list counts for each of its members. */
function tally(field) {
  const counts = new Map();
  for (const row of rows) {
    for (const value of [row[field]].flat()) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].filter(([value]) => value !== null).sort(([one], [other]) => compare(one, other));
}

/* A row's status as the filter names it: a rejection with its reason. */
function statusOf(row) {
  return row.status === "rejected" ? `rejected:${row.reason}` : row.status;
}

/* Whether a row passes all filters of a state. */
function filterOf(state) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  return (row) =>
    (!state.concept || row.concept === state.concept) &&
    (!state.source || row.source === state.source) &&
    (!state.arm || row.arms.includes(state.arm)) &&
    (!state.status || row.status === state.status || statusOf(row) === state.status) &&
    words.every((word) => row.find.includes(word) || isKeyOf(row, word));
}

function isKeyOf(row, word) {
  return word.length >= KEY_DIGITS && (row.id.startsWith(word) || row.uid.startsWith(word));
}

const orders = new Map();

/* All rows in the order of a state; orders are cached, as sorting is slow. */
function ordered(state) {
  const name = state.sort === "random" ? `random ${state.seed}` : state.sort;
  if (!orders.has(name)) {
    if (orders.size > 20) orders.clear(); // there are many seeds
    orders.set(name, sorted(state.sort, state.seed));
  }
  return orders.get(name);
}

function sorted(sort, seed) {
  const [field, low] = sort.split("-");
  if (field === "random" || field === "text" || field === "concept") {
    const key = field === "random" ? (row) => hash(`${seed}:${row.id}`) : (row) => String(row[field]).toLowerCase();
    return byKey(key);
  }
  const sign = low ? 1 : -1;
  return byKey((row) => (row[field] === null ? Infinity : sign * row[field])); // rows without a number are last
}

/* Rows by ascending key, then score, then CLIP (real pairs have no score), then id: the same in every browser. */
function byKey(key) {
  return rows
    .map((row) => ({ row, key: key(row) }))
    .sort((one, other) => compare(one.key, other.key)
      || compare(other.row.score ?? -Infinity, one.row.score ?? -Infinity)
      || compare(other.row.clip ?? -Infinity, one.row.clip ?? -Infinity) || compare(one.row.id, other.row.id))
    .map(({ row }) => row);
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

/* FNV-1a with a final mix: a 32-bit hash of the text. */
function hash(text) {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
