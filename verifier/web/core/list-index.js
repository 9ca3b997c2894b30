// @ts-check
/** The signed index of status lists: seals carry a short list number, the index says which list that is. */

import { verifySign1 } from "./cose.js";
import { Refusal } from "./errors.js";
import { readList } from "./signed-list.js";

export const INDEX_MAX_BYTES = 256 * 1024;
const TYP = "application/stadtpass-index+cwt";
const LISTS = -65540;

/**
 * Where a list is and which one it was when the index was signed.
 * @typedef {object} IndexedList
 * @property {string} uri
 * @property {Uint8Array} sha256
 * @property {number} sequence
 */

/**
 * @typedef {object} ListIndex
 * @property {import("./signed-list.js").Frame} frame
 * @property {Map<number, IndexedList>} lists by list number
 */

/**
 * Read an index without checking its signature.
 * @param {Uint8Array} data
 * @throws {Refusal} LIST_MALFORMED
 */
export function readIndex(data) {
  return readList(data, TYP, INDEX_MAX_BYTES);
}

/**
 * @param {import("./signed-list.js").UnverifiedList} unverified
 * @param {import("./cose.js").PublicKey} key
 * @returns {Promise<ListIndex>}
 * @throws {Refusal} SIGNATURE, INDEX_FORM
 */
export async function verifiedIndex(unverified, key) {
  await verifySign1(unverified.message, key);
  const entries = unverified.claims.get(LISTS);
  if (!(entries instanceof Map)) throw new Refusal("INDEX_FORM");
  /** @type {Map<number, IndexedList>} */
  const lists = new Map();
  for (const [number, entry] of entries) {
    if (typeof number !== "number" || !Array.isArray(entry) || entry.length !== 3) throw new Refusal("INDEX_FORM");
    const [uri, sha256, sequence] = entry;
    if (typeof uri !== "string" || !(sha256 instanceof Uint8Array) || typeof sequence !== "number") {
      throw new Refusal("INDEX_FORM");
    }
    lists.set(number, { uri, sha256, sequence });
  }
  return { frame: unverified.frame, lists };
}
