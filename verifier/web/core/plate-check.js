// @ts-check
/** From a plate as typed at the car to a verdict, by the signed plate list alone. */

import { berlinDay, clockText } from "./berlin.js";
import { Refusal } from "./errors.js";
import { correctLookalikes, parsePlate, PlateAmbiguous, plateFromCanonical } from "./plates.js";
import { holdsIn, TOLERANCE } from "./seal-check.js";
import { isInSeason, seasonText } from "./seasons.js";
import { isExpired, isStale } from "./signed-list.js";
import { compareVerdicts, REASONS, STATUS_REASONS, verdictOf } from "./verdict.js";

/** @typedef {import("./trust.js").Trust} Trust */
/** @typedef {import("./verdict.js").Verdict} Verdict */
/** @typedef {import("./plate-list.js").PlateList} PlateList */
/** @typedef {import("./plates.js").Plate} Plate */

const MAX_INPUT = 200;
const AFTER_STALE_LIST = new Set(["OTHER_ZONE", "OUT_OF_SEASON", "VALID"]);

/**
 * @param {string} text
 * @param {Trust} trust
 * @param {number} now seconds
 * @param {import("./seal-check.js").CheckSettings} [settings]
 * @returns {Verdict}
 */
export function checkPlate(text, trust, now, settings = {}) {
  const { bundle, plateList: list } = trust;
  if (bundle === null || isExpired(bundle.frame, now)) return verdictOf("NO_TRUST", now);
  const plain = verdictOf("VALID", now, { test: trust.test });
  const newest = Math.max(trust.newestTime, list?.frame.issuedAt ?? 0);
  if (now < newest - (settings.tolerance ?? TOLERANCE)) {
    return verdictOf("CLOCK_WRONG", now, { test: trust.test, params: { clock: clockText(now) } });
  }
  let plate;
  let corrected;
  try {
    const spelling = correctLookalikes(text.slice(0, MAX_INPUT));
    corrected = spelling.corrected;
    plate = parsePlate(spelling.text);
  } catch (fault) {
    if (fault instanceof PlateAmbiguous) {
      const suggestions = fault.suggestions.map((one) => one.canonical).sort(byCodePoint);
      return changed(plain, { reason: "PLATE_AMBIGUOUS", suggestions });
    }
    if (fault instanceof Refusal) return changed(plain, { reason: "PLATE_INVALID", fault });
    throw fault;
  }
  const read = changed(plain, { plates: [plate.canonical], corrected: corrected ? plate.canonical : null });
  if (list === null) return changed(read, { reason: "NO_LIST" });
  const paperRequired = [...bundle.types.values()].some((one) => one.paperRequired);
  const looked = changed(read, { listIssuedAt: list.frame.issuedAt, paperRequired });
  let verdict;
  try {
    verdict = listed(plate, list, looked, settings);
  } catch (fault) {
    if (fault instanceof Refusal) return changed(looked, { reason: "NO_LIST" });
    throw fault;
  }
  if (AFTER_STALE_LIST.has(verdict.reason) && isStale(bundle.frame, now)) {
    // The key that signed the list may have been revoked since.
    return changed(verdict, { reason: "STALE_LIST", listIssuedAt: bundle.frame.issuedAt, params: {} });
  }
  return verdict;
}

/**
 * @param {Plate} plate
 * @param {PlateList} list
 * @param {Verdict} plain
 * @param {import("./seal-check.js").CheckSettings} settings
 * @returns {Verdict}
 */
function listed(plate, list, plain, settings) {
  const entries = list.find(plate.key);
  if (isExpired(list.frame, plain.at)) {
    return changed(plain, entries.length ? { reason: "NO_LIST" } : { reason: "NOT_LISTED", verdict: "GREY" });
  }
  const stale = isStale(list.frame, plain.at);
  const [best] = entries.map((entry) => entryVerdict(entry, plain, stale, settings)).sort(compareVerdicts);
  if (best !== undefined) return best;
  const suggestions = ["", "E", "H"]
    .filter((suffix) => suffix !== plate.suffix)
    .map((suffix) => withSuffix(plate, suffix))
    .filter((other) => other !== null && list.find(other.key).length > 0)
    .map((other) => other?.canonical ?? "");
  if (suggestions.length) return changed(plain, { reason: "SUFFIX_DIFFERS", suggestions });
  return changed(plain, stale ? { reason: "NOT_LISTED", verdict: "AMBER" } : { reason: "NOT_LISTED" });
}

/**
 * @param {Plate} plate
 * @param {string} suffix
 * @returns {Plate | null} null where that would be no plate
 */
function withSuffix(plate, suffix) {
  try {
    return plateFromCanonical(`${plate.district}-${plate.letters} ${plate.number}${suffix}`);
  } catch (fault) {
    if (fault instanceof Refusal) return null;
    throw fault;
  }
}

/**
 * @param {import("./plate-list.js").PlateEntry} entry
 * @param {Verdict} plain
 * @param {boolean} stale
 * @param {import("./seal-check.js").CheckSettings} settings
 * @returns {Verdict}
 */
function entryVerdict(entry, plain, stale, settings) {
  const shown = changed(plain, { zone: entry.zone, validFrom: entry.first, validUntil: entry.last });
  const today = berlinDay(plain.at);
  const status = STATUS_REASONS.get(entry.status);
  if (status !== undefined) return changed(shown, { reason: status });
  if (today > entry.last) return changed(shown, { reason: "EXPIRED" });
  if (today < entry.first) return changed(shown, { reason: "NOT_YET_VALID" });
  if (stale) return changed(shown, { reason: "STALE_LIST" });
  if (!holdsIn(settings, entry.zone)) return changed(shown, { reason: "OTHER_ZONE" });
  if (entry.season !== null && !isInSeason(entry.season, today)) {
    const params = { plate: plain.plates?.[0] ?? "", season: seasonText(entry.season) };
    return changed(shown, { reason: "OUT_OF_SEASON", params });
  }
  return shown;
}

/**
 * ``verdict`` with something else in it; with another reason comes that one's usual colour.
 * @param {Verdict} verdict
 * @param {Partial<Verdict>} changes
 * @returns {Verdict}
 */
function changed(verdict, changes) {
  const { reason } = { ...verdict, ...changes };
  return verdictOf(reason, verdict.at, { ...verdict, verdict: REASONS[reason], ...changes });
}

/**
 * @param {string} one
 * @param {string} other
 */
function byCodePoint(one, other) {
  return one < other ? -1 : Number(one > other);
}
