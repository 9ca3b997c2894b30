// @ts-check
/**
 * The trust bundle: which keys count, for what, from when, signed by the offline root (docs/sp1.md). While the root
 * changes, the new root signs it, and the pinned one has endorsed the same content.
 */

import { hex, sameBytes } from "./bytes.js";
import { publicKey, verifySign1 } from "./cose.js";
import { Refusal } from "./errors.js";
import { readList } from "./signed-list.js";

const TYP = "application/stadtpass-bundle+cwt";
export const BUNDLE_MAX_BYTES = 256 * 1024;

const ISSUER = 1;
const KEYS = -65543;
const TYPES = -65544;
const TEST = -65545;
const NEXT_ROOT = -65546;
const ENDORSEMENT = -65547;

/** @typedef {import("./cbor.js").Value} Value */
/** @typedef {import("./cose.js").PublicKey} PublicKey */
/** @typedef {import("./signed-list.js").UnverifiedList} UnverifiedList */

/**
 * A key as verifiers see it; ``passTypes`` are seal codes, times seconds since 1970.
 * @typedef {object} BundleKey
 * @property {PublicKey} publicKey
 * @property {string} purpose ``seal`` or ``list``
 * @property {Set<number>} passTypes
 * @property {number} notBefore
 * @property {number} notAfter
 * @property {string} state ``pending``, ``active``, ``retired`` or ``revoked``
 * @property {boolean} test
 */

/**
 * A pass type as verifiers see it: whether its print has to lie in the car, always or only that of a pass without plate.
 * @typedef {object} BundleType
 * @property {string} id
 * @property {boolean} paperRequired
 * @property {boolean} paperWithoutPlate
 */

/**
 * @typedef {object} Bundle
 * @property {import("./signed-list.js").Frame} frame
 * @property {string} issuer
 * @property {Map<string, BundleKey>} keys by kid in hex
 * @property {Map<number, BundleType>} types by seal code
 * @property {boolean} test
 * @property {PublicKey} root the root that signed it: the pinned one or its successor
 */

/**
 * @param {Uint8Array} data
 * @param {PublicKey} root the pinned one
 * @returns {Promise<Bundle>}
 * @throws {Refusal} LIST_MALFORMED, SIGNATURE, BUNDLE_ROOT
 */
export async function readBundle(data, root) {
  const unverified = readList(data, TYP, BUNDLE_MAX_BYTES);
  const content = await contentOf(unverified.claims);
  const { kid } = unverified.message;
  if (sameBytes(kid, root.kid)) {
    await verifySign1(unverified.message, root);
    return { frame: unverified.frame, ...content, root };
  }
  const endorsement = unverified.claims.get(ENDORSEMENT);
  if (!(endorsement instanceof Uint8Array)) throw new Refusal("BUNDLE_ROOT");
  const successor = await successorOf(unverified, endorsement, root);
  return { frame: unverified.frame, ...content, root: successor };
}

/**
 * @param {UnverifiedList} unverified
 * @param {Uint8Array} endorsement
 * @param {PublicKey} root
 */
async function successorOf(unverified, endorsement, root) {
  const endorsed = readList(endorsement, TYP, BUNDLE_MAX_BYTES);
  if (!sameBytes(endorsed.message.kid, root.kid)) throw new Refusal("BUNDLE_ROOT");
  await verifySign1(endorsed.message, root);
  const own = new Map(unverified.claims);
  own.delete(ENDORSEMENT);
  const named = endorsed.claims.get(NEXT_ROOT);
  const alike = same(endorsed.claims, own) && JSON.stringify(endorsed.frame) === JSON.stringify(unverified.frame);
  if (!alike || !(named instanceof Uint8Array)) throw malformed("the endorsement is for another bundle");
  const successor = await keyOf(named);
  if (!sameBytes(unverified.message.kid, successor.kid)) throw malformed("not signed by the root that was named");
  await verifySign1(unverified.message, successor);
  return successor;
}

/** @param {Map<number | bigint, Value>} claims */
async function contentOf(claims) {
  const issuer = claims.get(ISSUER);
  const test = claims.get(TEST);
  const entries = claims.get(KEYS);
  const named = claims.get(TYPES);
  const nextRoot = claims.get(NEXT_ROOT);
  if (typeof issuer !== "string" || typeof test !== "boolean") throw malformed("issuer or test mark");
  if (!Array.isArray(entries) || !(named instanceof Map)) throw malformed("keys or types");
  if (nextRoot !== undefined && nextRoot !== null && !(nextRoot instanceof Uint8Array)) throw malformed("next root");
  /** @type {Map<string, BundleKey>} */
  const keys = new Map();
  for (const entry of entries) {
    const key = await bundleKey(entry);
    keys.set(hex(key.publicKey.kid), key);
  }
  /** @type {Map<number, BundleType>} */
  const types = new Map();
  for (const [code, entry] of named) {
    if (typeof code !== "number" || !Array.isArray(entry) || entry.length !== 3) throw malformed("pass type");
    const [id, paperRequired, paperWithoutPlate] = entry;
    if (typeof id !== "string" || typeof paperRequired !== "boolean" || typeof paperWithoutPlate !== "boolean") {
      throw malformed("pass type");
    }
    types.set(code, { id, paperRequired, paperWithoutPlate });
  }
  return { issuer, test, keys, types };
}

/**
 * @param {Value} entry
 * @returns {Promise<BundleKey>}
 */
async function bundleKey(entry) {
  if (!(entry instanceof Map) || entry.size !== 7) throw malformed("key entry");
  const [spki, purpose, codes, notBefore, notAfter, state, test] = [0, 1, 2, 3, 4, 5, 6].map((place) => entry.get(place));
  if (!(spki instanceof Uint8Array) || (purpose !== "seal" && purpose !== "list")) throw malformed("key entry");
  if (state !== "pending" && state !== "active" && state !== "retired" && state !== "revoked") throw malformed("key entry");
  if (!Array.isArray(codes) || typeof test !== "boolean") throw malformed("key entry");
  if (typeof notBefore !== "number" || typeof notAfter !== "number") throw malformed("key entry");
  const passTypes = new Set(codes.filter((code) => typeof code === "number"));
  if (codes.some((code) => typeof code !== "number")) throw malformed("key entry");
  return { publicKey: await keyOf(spki), purpose, passTypes, notBefore, notAfter, state, test };
}

/** @param {Uint8Array} spki */
async function keyOf(spki) {
  try {
    return await publicKey(spki);
  } catch (fault) {
    if (fault instanceof Refusal) throw malformed("key");
    throw fault;
  }
}

/**
 * Whether two values say the same; maps are in the one order that the encoding has.
 * @param {unknown} one
 * @param {unknown} other
 * @returns {boolean}
 */
function same(one, other) {
  if (one instanceof Uint8Array) return other instanceof Uint8Array && sameBytes(one, other);
  if (one instanceof Map) return other instanceof Map && same([...one], [...other]);
  if (Array.isArray(one)) {
    return Array.isArray(other) && one.length === other.length && one.every((item, place) => same(item, other[place]));
  }
  return one === other;
}

/** @param {string} fault */
function malformed(fault) {
  return new Refusal("LIST_MALFORMED", { fault });
}
