// @ts-check
/** From what was read or typed to what is shown. */

import { checkPlate } from "../core/plate-check.js";
import { parsePlate, correctLookalikes, PlateAmbiguous } from "../core/plates.js";
import { ROTATING_PREFIX } from "../core/rotating.js";
import { checkSeal } from "../core/seal-check.js";
import { PREFIX } from "../core/seal.js";
import { REASONS, verdictOf } from "../core/verdict.js";

/** @typedef {import("../core/verdict.js").Verdict} Verdict */
/**
 * A verdict with what it is about. ``input``: the plate or number as typed. ``askLibrary``: a plain number, which only the
 * library's own system knows.
 * @typedef {{verdict: Verdict, input: string | null, askLibrary: boolean, byPlate: boolean}} Outcome
 */
/** @typedef {Pick<import("./device.js").Device, "trust" | "settings" | "zoneSettings" | "role" | "saveMemory" | "endLease">} Checker */

const MOST_CANDIDATES = 8;
const ORDER = Object.keys(REASONS);

/**
 * The verdict on one code in several spellings, of which at most one is what was printed.
 * @param {Checker} device
 * @param {string[]} candidates
 * @param {number} now
 * @returns {Promise<Outcome>}
 */
export async function checkCandidates(device, candidates, now) {
  const spellings = candidates.slice(0, MOST_CANDIDATES);
  const typed = spellings.find((one) => !isCode(one) && isNumber(one));
  if (!spellings.some(isCode) && typed !== undefined && device.settings.desk) return askLibrary(device, typed, now);
  /** @type {Verdict[]} */
  const verdicts = [];
  for (const one of spellings) verdicts.push(await sealVerdict(device, one, now));
  // A wrong spelling fails early in the order of reasons, the right one goes furthest.
  verdicts.sort((one, other) => ORDER.indexOf(other.reason) - ORDER.indexOf(one.reason));
  // The verdict waits for no storage: a seal that was withdrawn is shown even where nothing can be written.
  void device.saveMemory();
  return { verdict: verdicts[0] ?? verdictOf("NOT_A_SEAL", now), input: null, askLibrary: false, byPlate: false };
}

/**
 * @param {Checker} device
 * @param {string} text
 * @param {number} now
 * @returns {Promise<Outcome>}
 */
export async function checkTyped(device, text, now) {
  const trimmed = text.trim();
  if (isCode(trimmed)) return checkCandidates(device, [trimmed], now);
  if (device.settings.desk || !isPlate(trimmed)) return askLibrary(device, trimmed, now);
  return checkTypedPlate(device, trimmed, now);
}

/**
 * @param {Checker} device
 * @param {string} text
 * @param {number} now
 * @returns {Promise<Outcome>}
 */
export async function checkTypedPlate(device, text, now) {
  device.endLease(now);
  const verdict =
    device.trust === null ? verdictOf("NO_TRUST", now) : await checkPlate(text, device.trust, now, device.zoneSettings);
  return { verdict, input: text, askLibrary: false, byPlate: true };
}

/**
 * @param {Checker} device
 * @param {string} text
 * @param {number} now
 */
async function sealVerdict(device, text, now) {
  if (device.trust === null) return verdictOf("NO_TRUST", now);
  const desk = device.settings.desk;
  return checkSeal(text, device.trust, now, {
    ...(desk ? { typeId: "library-card" } : device.zoneSettings),
  });
}

/**
 * @param {Checker} device
 * @param {string} input
 * @param {number} now
 * @returns {Outcome}
 */
function askLibrary(device, input, now) {
  const verdict = verdictOf("NOT_A_SEAL", now, { test: device.trust?.test ?? false });
  return { verdict, input, askLibrary: true, byPlate: false };
}

/** @param {string} text */
function isCode(text) {
  return text.startsWith(PREFIX) || text.startsWith(ROTATING_PREFIX);
}

/** @param {string} text */
function isNumber(text) {
  return /^[A-Za-z0-9._ -]{3,40}$/.test(text) && /[0-9]/.test(text);
}

/** @param {string} text */
function isPlate(text) {
  try {
    parsePlate(correctLookalikes(text).text);
    return true;
  } catch (fault) {
    return fault instanceof PlateAmbiguous;
  }
}
