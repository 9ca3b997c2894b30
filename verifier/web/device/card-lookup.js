// @ts-check
/**
 * Asking the service about a plain card number. A number proves nothing by itself, so an answer is a look-up with a time and
 * never more than what the service has said; where it says nothing in time, the library's own system is to be asked.
 */

import { Refusal } from "../core/errors.js";
import { REASONS, verdictOf } from "../core/verdict.js";

/** Somebody stands at the desk. */
const MILLISECONDS = 2_000;
const DAY = /^20[0-9]{2}-[0-9]{2}-[0-9]{2}$/;
/** Reasons that the service has for a card number, with the colours that each may have. @type {Map<string, string[]>} */
const ANSWERS = new Map([
  ["VALID", ["GREEN"]],
  ["SUSPENDED", ["RED"]],
  ["SUPERSEDED", ["RED"]],
  ["REVOKED", ["RED"]],
  ["EXPIRED", ["RED"]],
  ["NOT_YET_VALID", ["RED"]],
  ["CARD_UNKNOWN", ["GREY", "RED"]],
  ["CARD_MISREAD", ["GREY"]],
  ["ASK_LIBRARY", ["GREY"]],
]);
/** Why nothing was said, by the code of the service's refusal. @type {Map<string, string>} */
const REFUSALS = new Map([
  ["DEVICE_LOCKED", "LOCKED"],
  ["DEVICE_UNKNOWN", "LOCKED"],
  ["DEVICE_PENDING", "NOT_ENROLLED"],
  ["DEVICE_NOT_LIBRARIAN", "NOT_ENROLLED"],
  ["DEVICE_CLOCK", "CLOCK"],
  ["TOO_MANY_REQUESTS", "OFTEN"],
]);

/** @typedef {import("../core/verdict.js").Verdict} Verdict */
/**
 * ``at``: when the service has said so, in seconds by its clock; null where it has not. ``withdrawn``: the office has locked or
 * removed this device.
 * @typedef {{verdict: Verdict, category: string | null, at: number | null, withdrawn: boolean}} CardAnswer
 */

/**
 * @param {Pick<import("./identity.js").Identity, "askCard">} identity
 * @param {{read: string[], symbology: string | null}} question
 * @param {string} language
 * @param {number} now seconds
 * @param {number} [milliseconds]
 * @returns {Promise<CardAnswer>} whatever happens
 */
export async function lookUpCard(identity, question, language, now, milliseconds = MILLISECONDS) {
  try {
    return answerOf(await identity.askCard(question, language, milliseconds), now);
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    const cause = fault.code === "NO_ANSWER" ? "OFFLINE" : (REFUSALS.get(String(fault.params["problem"])) ?? "FAILED");
    const verdict = verdictOf("ASK_LIBRARY", now, { note: `ASK_LIBRARY_${fault.code === "NOT_ENROLLED" ? "NOT_ENROLLED" : cause}` });
    return { verdict, category: null, at: null, withdrawn: cause === "LOCKED" };
  }
}

/**
 * @param {Record<string, unknown>} told
 * @param {number} now
 * @returns {CardAnswer}
 * @throws {Refusal} ANSWER for what the service does not say
 */
function answerOf(told, now) {
  const { reason, verdict, time, test } = told;
  const [number, first, last, category] = [told["card_number"], told["valid_from"], told["valid_until"], told["category"]];
  const sensible =
    typeof reason === "string" &&
    typeof verdict === "string" &&
    ANSWERS.get(reason)?.includes(verdict) &&
    Number.isSafeInteger(time) &&
    typeof test === "boolean" &&
    isText(number, 40) &&
    isText(category, 80) &&
    [first, last].every((day) => day === null || (typeof day === "string" && DAY.test(day))) &&
    (reason !== "NOT_YET_VALID" || first !== null);
  if (!sensible) throw new Refusal("ANSWER", { status: 200, problem: "" });
  const known = /** @type {keyof typeof REASONS} */ (reason);
  return {
    verdict: verdictOf(known, now, {
      verdict: /** @type {Verdict["verdict"]} */ (verdict),
      test,
      cardNumber: /** @type {string | null} */ (number),
      validFrom: /** @type {string | null} */ (first),
      validUntil: /** @type {string | null} */ (last),
      note: noteOf(known, told["cause"], last !== null),
    }),
    category: /** @type {string | null} */ (category),
    // A reading that is none was looked up nowhere.
    at: known === "CARD_MISREAD" || known === "ASK_LIBRARY" ? null : Number(time),
    withdrawn: false,
  };
}

/**
 * The sentence for a card, where the one for a seal would name what a look-up does not tell.
 * @param {keyof typeof REASONS} reason
 * @param {unknown} cause
 * @param {boolean} dated
 * @returns {string | null}
 */
function noteOf(reason, cause, dated) {
  if (reason === "SUSPENDED") return cause === "lost" || cause === "returned" ? `CARD_SUSPENDED_${cause.toUpperCase()}` : "CARD_SUSPENDED";
  if (reason === "SUPERSEDED" || reason === "REVOKED") return `CARD_${reason}`;
  if (reason === "ASK_LIBRARY") return cause === "silent" || cause === "several" ? `ASK_LIBRARY_${cause.toUpperCase()}` : null;
  return (reason === "VALID" || reason === "EXPIRED") && !dated ? `CARD_${reason}` : null;
}

/**
 * @param {unknown} value
 * @param {number} longest
 */
function isText(value, longest) {
  return value === null || (typeof value === "string" && value.length <= longest);
}
