// @ts-check
/**
 * What the trust bundle and all lists have in common: a signed CWT with sequence, times and a type (docs/sp1.md).
 * Times are seconds since 1970.
 */

import { decode } from "./cbor.js";
import { readSign1 } from "./cose.js";
import { Refusal } from "./errors.js";

const SUBJECT = 2;
const EXPIRES = 4;
const ISSUED_AT = 6;
const TTL = 65534;
const SEQUENCE = -65538;
const FRAME = new Set([SUBJECT, EXPIRES, ISSUED_AT, TTL, SEQUENCE]);
const LONGEST_SUBJECT = 400;

/**
 * When a list was made and how long it counts.
 * @typedef {object} Frame
 * @property {string} subject
 * @property {number} sequence
 * @property {number} issuedAt
 * @property {number} ttl seconds
 * @property {number} expires
 */

/**
 * A list whose signature has not been checked: nothing in it is to be believed yet.
 * @typedef {object} UnverifiedList
 * @property {import("./cose.js").Sign1} message
 * @property {Frame} frame
 * @property {Map<number | bigint, import("./cbor.js").Value>} claims
 */

/**
 * @param {Uint8Array} data
 * @param {string} typ
 * @param {number} maxBytes
 * @returns {UnverifiedList}
 * @throws {Refusal} LIST_MALFORMED
 */
export function readList(data, typ, maxBytes) {
  let message;
  let read;
  try {
    message = readSign1(data, maxBytes);
    if (message.typ !== typ) throw new Refusal("LIST_MALFORMED", { fault: "another type" });
    read = decode(message.payload, maxBytes);
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    throw new Refusal("LIST_MALFORMED", fault.params);
  }
  if (!(read instanceof Map)) throw new Refusal("LIST_MALFORMED", { fault: "no claims" });
  /** @type {Map<number | bigint, import("./cbor.js").Value>} */
  const claims = new Map();
  for (const [key, value] of read) {
    if (typeof key !== "number" && typeof key !== "bigint") throw new Refusal("LIST_MALFORMED", { fault: "claim name" });
    claims.set(key, value);
  }
  const subject = claims.get(SUBJECT);
  if (typeof subject !== "string" || [...subject].length > LONGEST_SUBJECT) {
    throw new Refusal("LIST_MALFORMED", { fault: "no subject" });
  }
  const frame = {
    subject,
    sequence: count(claims.get(SEQUENCE)),
    issuedAt: count(claims.get(ISSUED_AT)),
    ttl: count(claims.get(TTL)),
    expires: count(claims.get(EXPIRES)),
  };
  for (const key of FRAME) claims.delete(key);
  return { message, frame, claims };
}

/**
 * @param {import("./cbor.js").Value | undefined} value
 * @returns {number}
 */
function count(value) {
  if (typeof value !== "number" || value < 0) throw new Refusal("LIST_MALFORMED", { fault: "no sequence or times" });
  return value;
}

/**
 * Whether ``now`` is beyond the ttl.
 * @param {Frame} frame
 * @param {number} now
 */
export function isStale(frame, now) {
  return now > frame.issuedAt + frame.ttl;
}

/**
 * Whether ``now`` has reached the expiry.
 * @param {Frame} frame
 * @param {number} now
 */
export function isExpired(frame, now) {
  return now >= frame.expires;
}
