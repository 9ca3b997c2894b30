// @ts-check
/** Base45 (RFC 9285), strictly: every byte string has exactly one text that is accepted. */

import { Refusal } from "./errors.js";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const VALUES = new Map(Array.from(ALPHABET, (character, value) => [character, value]));

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {Refusal} BASE45 for a character outside the alphabet, an impossible length, a group beyond its bytes
 */
export function decodeBase45(text) {
  const rest = text.length % 3;
  if (rest === 1) throw new Refusal("BASE45");
  const bytes = new Uint8Array(Math.floor(text.length / 3) * 2 + (rest ? 1 : 0));
  let at = 0;
  for (let place = 0; place < text.length; place += 3) {
    const pair = place + 3 > text.length;
    // The least significant character comes first (RFC 9285, 4.1).
    const value = valueAt(text, place) + 45 * valueAt(text, place + 1) + (pair ? 0 : 2025 * valueAt(text, place + 2));
    if (value > (pair ? 0xff : 0xffff)) throw new Refusal("BASE45");
    if (!pair) bytes[at++] = value >> 8;
    bytes[at++] = value & 0xff;
  }
  return bytes;
}

/**
 * @param {string} text
 * @param {number} place
 */
function valueAt(text, place) {
  const value = VALUES.get(text.charAt(place));
  if (value === undefined) throw new Refusal("BASE45");
  return value;
}
