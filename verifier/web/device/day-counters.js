// @ts-check
/** How many checks a Berlin day had by colour: all that is kept of a check, and not whose. */

import { berlinDay } from "../core/berlin.js";

const DAYS = 31;
const DAY = 86_400;

/** @typedef {import("../core/verdict.js").Colour} Colour */
/** @typedef {Record<Colour, number>} Counts */
/** @typedef {import("./store.js").Store} Store */

/**
 * Count a check, and forget the days that are too old.
 * @param {Store} store
 * @param {Colour} colour
 * @param {number} now seconds
 */
export async function count(store, colour, now) {
  await store.update("counters", berlinDay(now), (known) => {
    const counts = asCounts(known);
    return { ...counts, [colour]: counts[colour] + 1 };
  });
  await counters(store, now);
}

/**
 * The days with checks, newest first; what is older than a month is deleted.
 * @param {Store} store
 * @param {number} now seconds
 * @returns {Promise<{day: string, counts: Counts}[]>}
 */
export async function counters(store, now) {
  const oldest = berlinDay(now - DAYS * DAY);
  const { counters: stored } = await store.read("counters");
  const past = [...stored.keys()].filter((day) => day < oldest);
  await store.write(past.map((key) => ({ part: "counters", key, value: undefined })));
  return [...stored]
    .filter(([day]) => day >= oldest)
    .map(([day, counts]) => ({ day, counts: asCounts(counts) }))
    .sort((one, other) => (one.day < other.day ? 1 : -1));
}

/**
 * @param {unknown} stored
 * @returns {Counts}
 */
function asCounts(stored) {
  const known = /** @type {Partial<Counts>} */ (stored ?? {});
  return { GREEN: known.GREEN ?? 0, AMBER: known.AMBER ?? 0, RED: known.RED ?? 0, GREY: known.GREY ?? 0 };
}
