// @ts-check
/** COSE_Sign1 (RFC 9052, 4.2) with ES256, as Stadtpass writes it and no other way. */

import { bytesOf, compareBytes, fromHex, joined, owned, sameBytes, sha256 } from "./bytes.js";
import { bytesHead, decode } from "./cbor.js";
import { Refusal } from "./errors.js";

const ALGORITHM = 1;
const KID = 4;
const TYP = 16;
const ES256 = -7;
const TAG_18 = 0xd2;
const SIGNATURE_BYTES = 64;
const KID_BYTES = 8;

// The order of P-256 and its half (SEC 2, 2.4.2).
const ORDER = fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
const HALF_ORDER = fromHex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");
const ZERO = new Uint8Array(32);
// SubjectPublicKeyInfo of an uncompressed P-256 point (RFC 5480): this, then 64 bytes of coordinates.
const SPKI_START = fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const SPKI_BYTES = 91;

/**
 * A message read strictly, its signature not checked yet.
 * @typedef {object} Sign1
 * @property {Uint8Array} kid
 * @property {string | null} typ
 * @property {Uint8Array} payload
 * @property {Uint8Array} signature
 * @property {Uint8Array} signed what the signature is over
 */

/**
 * A P-256 key to verify with; ``kid`` is the first 8 bytes of SHA-256 over ``spki``.
 * @typedef {object} PublicKey
 * @property {CryptoKey} key
 * @property {Uint8Array} spki
 * @property {Uint8Array} kid
 */

/**
 * @param {Uint8Array} data
 * @param {number} maxBytes
 * @returns {Sign1}
 * @throws {Refusal} CBOR, COSE
 */
export function readSign1(data, maxBytes) {
  if (data[0] !== TAG_18) throw new Refusal("COSE", { fault: "no tag 18" });
  const message = decode(data.subarray(1), maxBytes - 1);
  if (!Array.isArray(message) || message.length !== 4) throw new Refusal("COSE", { fault: "not four elements" });
  const [bare, unprotected, payload, signature] = message;
  if (!(bare instanceof Uint8Array) || !(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw new Refusal("COSE", { fault: "element of the wrong type" });
  }
  if (!(unprotected instanceof Map) || unprotected.size) {
    throw new Refusal("COSE", { fault: "unprotected header not empty" });
  }
  const { kid, typ } = header(bare);
  if (!isLowS(signature)) throw new Refusal("COSE", { fault: "signature is not 64 bytes r||s with the low s" });
  return { kid, typ, payload, signature, signed: toBeSigned(bare, payload) };
}

/**
 * @param {Uint8Array} bare the protected header
 * @returns {{kid: Uint8Array, typ: string | null}}
 */
function header(bare) {
  const read = decode(bare, 256);
  if (!(read instanceof Map) || read.get(ALGORITHM) !== ES256) {
    throw new Refusal("COSE", { fault: "algorithm is not ES256" });
  }
  const kid = read.get(KID);
  const typ = read.get(TYP) ?? null;
  if (!(kid instanceof Uint8Array) || kid.length !== KID_BYTES) {
    throw new Refusal("COSE", { fault: "kid is not 8 bytes" });
  }
  if (read.size !== (typ === null ? 2 : 3) || (typ !== null && typeof typ !== "string")) {
    throw new Refusal("COSE", { fault: "unknown header parameter" });
  }
  return { kid, typ };
}

/**
 * Both numbers in range and s in the lower half: (r, n-s) would be a second spelling of the same signature.
 * @param {Uint8Array} signature
 */
function isLowS(signature) {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const r = signature.subarray(0, 32);
  const s = signature.subarray(32);
  return (
    compareBytes(ZERO, r) < 0 && compareBytes(r, ORDER) < 0 && compareBytes(ZERO, s) < 0 && compareBytes(s, HALF_ORDER) <= 0
  );
}

/**
 * Sig_structure of RFC 9052, 4.4: ["Signature1", protected, external_aad = h'', payload].
 * @param {Uint8Array} bare
 * @param {Uint8Array} payload
 */
function toBeSigned(bare, payload) {
  const start = joined(Uint8Array.of(0x84, 0x6a), bytesOf("Signature1"));
  return joined(start, bytesHead(bare.length), bare, Uint8Array.of(0x40), bytesHead(payload.length), payload);
}

/**
 * @param {Sign1} message
 * @param {PublicKey} key
 * @returns {Promise<void>}
 * @throws {Refusal} SIGNATURE
 */
export async function verifySign1(message, key) {
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const good = await crypto.subtle.verify(algorithm, key.key, owned(message.signature), owned(message.signed));
  if (!good) throw new Refusal("SIGNATURE");
}

/**
 * @param {Uint8Array} spki DER SubjectPublicKeyInfo of an uncompressed P-256 point, the one spelling there is
 * @returns {Promise<PublicKey>}
 * @throws {Refusal} KEY_SPKI
 */
export async function publicKey(spki) {
  if (spki.length !== SPKI_BYTES || !sameBytes(spki.subarray(0, SPKI_START.length), SPKI_START)) {
    throw new Refusal("KEY_SPKI");
  }
  const usage = { name: "ECDSA", namedCurve: "P-256" };
  try {
    const key = await crypto.subtle.importKey("spki", owned(spki), usage, false, ["verify"]);
    return { key, spki, kid: (await sha256(spki)).slice(0, KID_BYTES) };
  } catch {
    throw new Refusal("KEY_SPKI");
  }
}
