// @ts-check
/** From what was read or typed to what is shown. */

import { checkPlate } from "../core/plate-check.js";
import { parsePlate, correctLookalikes, PlateAmbiguous } from "../core/plates.js";
import { ROTATING_PREFIX } from "../core/rotating.js";
import { ofSchemes, scannedCard, withoutEnvelope } from "../core/scanned-cards.js";
import { checkSeal } from "../core/seal-check.js";
import { PREFIX } from "../core/seal.js";
import { REASONS, verdictOf } from "../core/verdict.js";

/** @typedef {import("../core/verdict.js").Verdict} Verdict */
/** @typedef {import("../core/scanned-cards.js").Symbology} Symbology */
/**
 * A verdict with what it is about. ``input``: the plate or number as typed. ``askLibrary``: a plain number, which only the
 * library's own system knows. ``lookUp``: what the service has said of a plain number, and when by its clock.
 * @typedef {{category: string | null, at: number}} LookUp
 * @typedef {{verdict: Verdict, input: string | null, askLibrary: boolean, byPlate: boolean, lookUp: LookUp | null}} Outcome
 */
/** @typedef {Pick<import("./device.js").Device, "trust" | "settings" | "zoneSettings" | "role" | "saveMemory" | "endLease" | "looksUp" | "cardSchemes" | "lookUp">} Checker */

const MOST_CANDIDATES = 8;
const ORDER = Object.keys(REASONS);
const NOTHING = Object.freeze({ input: null, askLibrary: false, byPlate: false, lookUp: null });

/**
 * The verdict on one code in several spellings, of which at most one is what was printed.
 * @param {Checker} device
 * @param {string[]} candidates
 * @param {number} now
 * @param {Symbology | null} [symbology] of the code that was read, where that is known
 * @returns {Promise<Outcome>}
 */
export async function checkCandidates(device, candidates, now, symbology = null) {
  const delivered = candidates.slice(0, MOST_CANDIDATES);
  const spellings = delivered.map((one) => withoutEnvelope(one).bare);
  if (device.settings.desk && !spellings.some(isCode)) {
    const outcome = await checkCard(device, delivered, symbology, now);
    if (outcome !== null) return outcome;
  }
  /** @type {Verdict[]} */
  const verdicts = [];
  for (const one of spellings) verdicts.push(await sealVerdict(device, one, now));
  // A wrong spelling fails early in the order of reasons, the right one goes furthest.
  verdicts.sort((one, other) => ORDER.indexOf(other.reason) - ORDER.indexOf(one.reason));
  // The verdict waits for no storage: a seal that was withdrawn is shown even where nothing can be written.
  void device.saveMemory();
  return { ...NOTHING, verdict: verdicts[0] ?? verdictOf("NOT_A_SEAL", now) };
}

/**
 * @param {Checker} device
 * @param {string} text
 * @param {number} now
 * @returns {Promise<Outcome>}
 */
export async function checkTyped(device, text, now) {
  const trimmed = text.trim();
  if (device.settings.desk || isCode(trimmed)) return checkCandidates(device, [trimmed], now);
  if (isPlate(trimmed)) return checkTypedPlate(device, trimmed, now);
  const verdict = verdictOf("NOT_A_SEAL", now, { test: device.trust?.test ?? false, note: "ASK_LIBRARY" });
  return { ...NOTHING, verdict, input: trimmed, askLibrary: true };
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
  return { ...NOTHING, verdict, input: text, byPlate: true };
}

/**
 * Whether a text is checked as a seal, and so never as a card number or a plate.
 * @param {string} text
 */
export function isCode(text) {
  return text.startsWith(PREFIX) || text.startsWith(ROTATING_PREFIX);
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
 * The answer about a plain number at the desk: the service's, and without one that of nobody.
 * @param {Checker} device
 * @param {string[]} delivered
 * @param {Symbology | null} symbology
 * @param {number} now
 * @returns {Promise<Outcome | null>} null for what can be no card number
 */
async function checkCard(device, delivered, symbology, now) {
  const cards = delivered.map((text) => ({ text, ...scannedCard(text, symbology) }));
  const numbers = cards.filter(({ kind }) => kind === "number");
  const test = device.trust?.test ?? false;
  const misread = () => ({ ...NOTHING, verdict: verdictOf("CARD_MISREAD", now, { test }) });
  if (!numbers.length) return cards.some(({ kind }) => kind === "misread") ? misread() : null;
  const fitting = numbers.flatMap((one) => ofSchemes(one, device.cardSchemes).spellings);
  const input = (fitting[0] ?? numbers[0]?.spellings[0])?.text ?? null;
  if (!device.looksUp) {
    if (!fitting.length) return misread();
    const verdict = verdictOf("ASK_LIBRARY", now, { test, note: "ASK_LIBRARY_NOT_ENROLLED" });
    return { ...NOTHING, verdict, input, askLibrary: true };
  }
  const { verdict, category, at } = await device.lookUp(numbers.map(({ text }) => text), symbology, now);
  // The service knows which numbers there are; only without it the library's schemes tell a number from half of one.
  if (!fitting.length && verdict.note === "ASK_LIBRARY_OFFLINE") return misread();
  const lookUp = at === null ? null : { category, at };
  return { ...NOTHING, verdict: { ...verdict, test: verdict.test || test }, input, askLibrary: verdict.reason === "ASK_LIBRARY", lookUp };
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
