// @ts-check
/**
 * The rotating form of a seal for Google Wallet: a static seal behind a time code (TOTP, RFC 6238). The signature decides
 * whether the seal is genuine; the time code says whether it was shown just now.
 */

import { bytesOf, owned } from "./bytes.js";
import { Refusal } from "./errors.js";
import { MAX_TEXT } from "./seal.js";

export const ROTATING_PREFIX = "SP1R:";
const STEP_SECONDS = 30;
const KEY_BYTES = 20;
const FORM = /^SP1R:(0|[1-9][0-9]{0,10}):([0-9]{8}):(.+)$/s;

/** @typedef {{shownAt: number, digits: string, token: string}} RotatingCode seconds, 8 digits, and the seal's base45 */

/**
 * @param {string} text with the prefix
 * @returns {RotatingCode}
 * @throws {Refusal} SEAL_MALFORMED
 */
export function splitRotating(text) {
  const [, seconds, digits = "", token = ""] = (text.length <= MAX_TEXT + 32 && FORM.exec(text)) || [];
  if (seconds === undefined) throw new Refusal("SEAL_MALFORMED", { fault: "rotating code" });
  return { shownAt: Number(seconds), digits, token };
}

/**
 * Whether the digits fit the time shown and that time is now, give or take ``tolerance`` seconds.
 * @param {RotatingCode} code
 * @param {Uint8Array} epochKey
 * @param {string} number the pass number
 * @param {number} now
 * @param {number} tolerance
 * @returns {Promise<boolean>}
 */
export async function isFresh(code, epochKey, number, now, tolerance) {
  const key = (await hmac("SHA-256", epochKey, bytesOf(number))).subarray(0, KEY_BYTES);
  const inTime = now - code.shownAt >= -tolerance && now - code.shownAt <= tolerance + STEP_SECONDS;
  return (await totp(key, code.shownAt)) === code.digits && inTime;
}

/**
 * The 8 digits for second ``at`` (RFC 6238, HMAC-SHA-1).
 * @param {Uint8Array} key
 * @param {number} at
 */
async function totp(key, at) {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(at / STEP_SECONDS)));
  const mac = await hmac("SHA-1", key, new Uint8Array(counter.buffer));
  const offset = (mac[mac.length - 1] ?? 0) & 15;
  const value = new DataView(mac.buffer).getUint32(offset) & 0x7fffffff;
  return String(value % 10 ** 8).padStart(8, "0");
}

/**
 * @param {string} hash
 * @param {Uint8Array} key
 * @param {Uint8Array} data
 */
async function hmac(hash, key, data) {
  const made = await crypto.subtle.importKey("raw", owned(key), { name: "HMAC", hash }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", made, owned(data)));
}
