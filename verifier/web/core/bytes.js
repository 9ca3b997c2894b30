// @ts-check
/** Byte strings: comparing, joining, and their usual spellings. */

import { Refusal } from "./errors.js";

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A byte string that owns its memory, as the platform's cryptography wants it. @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 * @returns {number} below, at or above zero, in the order of the bytes
 */
export function compareBytes(one, other) {
  const shorter = Math.min(one.length, other.length);
  for (let at = 0; at < shorter; at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference) return difference;
  }
  return one.length - other.length;
}

/**
 * Whether two byte strings are the same. For public values: it stops at the first difference.
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function sameBytes(one, other) {
  return one.length === other.length && compareBytes(one, other) === 0;
}

/**
 * @param {...Uint8Array} parts
 * @returns {Bytes}
 */
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} lower case
 */
export function hex(bytes) {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} text an even number of hex digits
 * @returns {Bytes}
 * @throws {Refusal} HEX
 */
export function fromHex(text) {
  if (text.length % 2 || !/^[0-9a-f]*$/i.test(text)) throw new Refusal("HEX");
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} without padding (RFC 4648, 5)
 */
export function base64Url(bytes) {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} with padding (RFC 4648, 4)
 */
export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/**
 * @param {string} text base64 or base64url, padded or not
 * @returns {Bytes}
 * @throws {Refusal} BASE64
 */
export function fromBase64(text) {
  let decoded;
  try {
    decoded = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw new Refusal("BASE64");
  }
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}

/**
 * @param {string} text
 * @returns {Bytes} UTF-8
 */
export function bytesOf(text) {
  return utf8.encode(text);
}

/**
 * @param {Uint8Array} bytes UTF-8
 * @returns {string}
 * @throws {TypeError} for anything that is not UTF-8
 */
export function textOf(bytes) {
  return strictUtf8.decode(bytes);
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Bytes>}
 */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", owned(bytes)));
}

/**
 * The bytes as a string of their own in memory: a part of a larger one is copied.
 * @param {Uint8Array} bytes
 * @returns {Bytes}
 */
export function owned(bytes) {
  return bytes.buffer instanceof ArrayBuffer ? /** @type {Bytes} */ (bytes) : new Uint8Array(bytes);
}
