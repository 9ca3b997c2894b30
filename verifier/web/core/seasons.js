// @ts-check
/** The season of a seasonal plate: first and last month (1 to 12, inclusive), which may run over the New Year. */

import { Refusal } from "./errors.js";

/** @typedef {{first: number, last: number}} Season */

/**
 * A season of 2 to 11 months (section 10 (3) FZV).
 * @param {number} first
 * @param {number} last
 * @returns {Season}
 * @throws {Refusal} SEASON_MONTH, SEASON_LENGTH
 */
export function season(first, last) {
  for (const month of [first, last]) {
    if (month < 1 || month > 12) throw new Refusal("SEASON_MONTH", { month: String(month).padStart(2, "0") });
  }
  const months = monthsOf({ first, last });
  if (months < 2 || months > 11) throw new Refusal("SEASON_LENGTH", { season: seasonText({ first, last }), months });
  return { first, last };
}

/**
 * @param {string} text ``04-10``
 * @returns {Season}
 * @throws {Refusal} SEASON_FORMAT, SEASON_MONTH, SEASON_LENGTH
 */
export function parseSeason(text) {
  const found = /^ *([0-9]{2})[-/]([0-9]{2}) *$/.exec(text.slice(0, 21));
  if (found === null || text.length > 20) throw new Refusal("SEASON_FORMAT");
  return season(Number(found[1]), Number(found[2]));
}

/** @param {Season} one */
export function seasonText(one) {
  return [one.first, one.last].map((month) => String(month).padStart(2, "0")).join("-");
}

/**
 * @param {Season} one
 * @param {string} day a Berlin day
 */
export function isInSeason(one, day) {
  return (Number(day.slice(5, 7)) - one.first + 12) % 12 < monthsOf(one);
}

/** @param {Season} one */
function monthsOf(one) {
  return ((one.last - one.first + 12) % 12) + 1;
}
