// @ts-check
/** Verdicts: a colour, the reason for it, and the sentence that a warden or librarian reads. */

import { berlinTime, clockText, dayText } from "./berlin.js";
import { INVALID, SUPERSEDED, SUSPENDED } from "./status-list.js";

/** @typedef {"GREEN" | "AMBER" | "RED" | "GREY"} Colour */
/** @typedef {"fresh" | "stale" | "not_checked" | "none"} Freshness */
/** @typedef {keyof typeof REASONS} Reason */
/** A sentence of a catalogue by its code, with its params filled in. @typedef {(code: string, params?: Record<string, string | number>) => string} Say */

/** Every reason with its usual colour, in the order in which they win. Those of plain card numbers come from no seal. */
export const REASONS = /** @type {const} */ ({
  CARD_MISREAD: "GREY",
  CARD_UNKNOWN: "GREY",
  ASK_LIBRARY: "GREY",
  NOT_A_SEAL: "GREY",
  MALFORMED: "RED",
  NO_TRUST: "GREY",
  UNKNOWN_KEY: "RED",
  KEY_REVOKED: "RED",
  TEST_KEY: "RED",
  FORGED: "RED",
  WRONG_TYPE: "RED",
  CLOCK_WRONG: "GREY",
  PLATE_INVALID: "GREY",
  PLATE_AMBIGUOUS: "AMBER",
  NOT_LISTED: "RED",
  REVOKED: "RED",
  SUPERSEDED: "RED",
  SUSPENDED: "RED",
  EXPIRED: "RED",
  NOT_YET_VALID: "RED",
  NO_LIST: "GREY",
  STALE_LIST: "AMBER",
  SUFFIX_DIFFERS: "AMBER",
  OTHER_ZONE: "AMBER",
  OUT_OF_SEASON: "AMBER",
  NOT_FRESH: "AMBER",
  VALID: "GREEN",
});

const ORDER = /** @type {Reason[]} */ (Object.keys(REASONS));
const SEVERITY = { GREEN: 0, AMBER: 1, GREY: 2, RED: 3 };

/** What an entry that is not valid means. @type {Map<number, Reason>} */
export const STATUS_REASONS = new Map([
  [INVALID, "REVOKED"],
  [SUPERSEDED, "SUPERSEDED"],
  [SUSPENDED, "SUSPENDED"],
]);

/**
 * The outcome of one check at ``at`` (seconds). Content is null unless the signature held; ``listIssuedAt`` is the signed
 * time of the list that decided.
 * @typedef {object} Verdict
 * @property {Reason} reason
 * @property {Colour} verdict
 * @property {number} at
 * @property {boolean} test
 * @property {string | null} typeId
 * @property {string | null} number
 * @property {string[] | null} plates
 * @property {string | null} zone
 * @property {string | null} cardNumber
 * @property {string | null} organisation
 * @property {string | null} validFrom Berlin day
 * @property {string | null} validUntil Berlin day, inclusive
 * @property {number | null} listIssuedAt
 * @property {Freshness} freshness
 * @property {string[]} suggestions
 * @property {boolean} paperRequired
 * @property {string | null} corrected the plate as it was read, where that is not what was typed
 * @property {import("./errors.js").Refusal | null} fault why a plate cannot be read
 * @property {string | null} note the code of a sentence that says more than the reason's own
 * @property {Record<string, string | number>} params what the sentence names besides
 */

/**
 * A verdict with nothing but its reason, and what is given.
 * @param {Reason} reason
 * @param {number} at
 * @param {Partial<Verdict>} [more]
 * @returns {Verdict}
 */
export function verdictOf(reason, at, more = {}) {
  return {
    reason,
    at,
    test: false,
    typeId: null,
    number: null,
    plates: null,
    zone: null,
    cardNumber: null,
    organisation: null,
    validFrom: null,
    validUntil: null,
    listIssuedAt: null,
    freshness: "none",
    suggestions: [],
    paperRequired: false,
    corrected: null,
    fault: null,
    note: null,
    params: {},
    ...more,
    verdict: more.verdict ?? REASONS[reason],
  };
}

/**
 * How bad a verdict is, and of equals which reason wins: the lower, the better.
 * @param {Verdict} one
 * @param {Verdict} other
 */
export function compareVerdicts(one, other) {
  const difference = SEVERITY[one.verdict] - SEVERITY[other.verdict];
  return difference || ORDER.indexOf(one.reason) - ORDER.indexOf(other.reason);
}

/**
 * Seconds between the list's signed time and the check; never below zero.
 * @param {Verdict} verdict
 */
export function listAge(verdict) {
  return verdict.listIssuedAt === null ? null : Math.max(0, verdict.at - verdict.listIssuedAt);
}

/**
 * The reason as one or two sentences.
 * @param {Verdict} verdict
 * @param {Say} say
 */
export function message(verdict, say) {
  const usual = verdict.verdict === REASONS[verdict.reason];
  const params = {
    number: verdict.number ?? "",
    zone: verdict.zone ?? "",
    first: dayText(verdict.validFrom),
    last: dayText(verdict.validUntil),
    list_time: verdict.listIssuedAt === null ? "" : clockText(verdict.listIssuedAt),
    age: ageText(listAge(verdict), say),
    suggestions: verdict.suggestions.join(", "),
    fault: verdict.fault === null ? "" : say(verdict.fault.code, verdict.fault.params),
    ...verdict.params,
  };
  const sentences = verdict.test ? [say("TEST")] : [];
  const code = usual ? verdict.reason : `${verdict.reason}_${verdict.verdict}`;
  sentences.push(say(verdict.note ?? code, params));
  if (verdict.corrected !== null) sentences.push(say("CORRECTED", { plate: verdict.corrected }));
  if (verdict.paperRequired && (verdict.verdict === "GREEN" || verdict.verdict === "AMBER")) {
    sentences.push(say("PAPER_REQUIRED"));
  }
  return sentences.join(" ");
}

/**
 * How old a list is, as people say it.
 * @param {number | null} seconds
 * @param {Say} say
 */
export function ageText(seconds, say) {
  if (seconds === null) return "";
  if (seconds < 7200) return say("AGE_MINUTES", { count: Math.floor(seconds / 60) });
  if (seconds < 172_800) return say("AGE_HOURS", { count: Math.floor(seconds / 3600) });
  return say("AGE_DAYS", { count: Math.floor(seconds / 86_400) });
}

/**
 * The verdict with the field names that every verifier of this format gives (docs/guide-integrator.md).
 * @param {Verdict} verdict
 * @param {Say} say
 */
export function toJson(verdict, say) {
  return {
    verdict: verdict.verdict,
    reason: verdict.reason,
    message: message(verdict, say),
    type: verdict.typeId,
    number: verdict.number,
    plates: verdict.plates,
    zone: verdict.zone,
    card_number: verdict.cardNumber,
    organisation: verdict.organisation,
    valid_from: verdict.validFrom,
    valid_until: verdict.validUntil,
    list_age_seconds: listAge(verdict),
    list_time: verdict.listIssuedAt === null ? null : berlinTime(verdict.listIssuedAt),
    freshness: verdict.freshness,
    test: verdict.test,
    suggestions: verdict.suggestions,
  };
}
