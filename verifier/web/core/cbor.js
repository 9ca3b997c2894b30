// @ts-check
/**
 * Deterministic CBOR (RFC 8949, 4.2.1), to read: integers of 64 bits, byte and text strings, arrays, maps, false, true
 * and null. Exactly the one encoding of each value is accepted, so nothing has to be written again to compare it.
 */

import { compareBytes, textOf } from "./bytes.js";
import { Refusal } from "./errors.js";

/**
 * What an item is read as: number, text, byte string, boolean, null, array, or a Map of such. Integers beyond 53 bits are
 * bigints, so that none is ever rounded. Whoever uses a value looks first what it is.
 * @typedef {unknown} Value
 * @typedef {Map<number | bigint | string | Uint8Array, Value>} ValueMap
 */

const MAX_DEPTH = 8;

/**
 * @param {Uint8Array} data one item that fills it exactly
 * @param {number} maxBytes bounds the input before anything is parsed
 * @returns {Value}
 * @throws {Refusal} CBOR for anything that is not the deterministic encoding of such a value
 */
export function decode(data, maxBytes) {
  if (data.length > maxBytes) throw new Refusal("CBOR", { fault: "too long" });
  const reader = new Reader(data);
  const value = reader.item(0);
  if (reader.at !== data.length) throw new Refusal("CBOR", { fault: "trailing bytes" });
  return value;
}

class Reader {
  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
    this.at = 0;
  }

  /**
   * @param {number} depth
   * @returns {Value}
   */
  item(depth) {
    const first = this.octet();
    const major = first >> 5;
    if (major === 7) return simple(first & 31);
    if (major === 6) throw new Refusal("CBOR", { fault: "tag" });
    const argument = this.argument(first & 31);
    if (major === 0) return argument;
    if (major === 1) return typeof argument === "bigint" ? -1n - argument : negative(argument);
    // Every element takes a byte at least: a length beyond the rest of the input is refused at once.
    if (typeof argument === "bigint" || argument > this.data.length - this.at) {
      throw new Refusal("CBOR", { fault: "ends too early" });
    }
    if (major === 2) return this.take(argument);
    if (major === 3) return this.text(argument);
    if (depth >= MAX_DEPTH) throw new Refusal("CBOR", { fault: "nested too deep" });
    return major === 4 ? this.array(argument, depth + 1) : this.map(argument, depth + 1);
  }

  octet() {
    const octet = this.data[this.at++];
    if (octet === undefined) throw new Refusal("CBOR", { fault: "ends too early" });
    return octet;
  }

  /**
   * @param {number} length
   * @returns {Uint8Array}
   */
  take(length) {
    const start = this.at;
    this.at += length;
    if (this.at > this.data.length) throw new Refusal("CBOR", { fault: "ends too early" });
    return this.data.subarray(start, this.at);
  }

  /**
   * @param {number} information the lower five bits of an item's first byte
   * @returns {number | bigint}
   */
  argument(information) {
    if (information < 24) return information;
    if (information > 27) throw new Refusal("CBOR", { fault: "indefinite length or reserved form" });
    const size = 1 << (information - 24);
    let value = 0n;
    for (const octet of this.take(size)) value = (value << 8n) | BigInt(octet);
    const smallest = size === 1 ? 24n : 1n << BigInt(size * 4);
    if (value < smallest) throw new Refusal("CBOR", { fault: "integer not in its shortest form" });
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  /** @param {number} length */
  text(length) {
    try {
      return textOf(this.take(length));
    } catch (fault) {
      if (fault instanceof Refusal) throw fault;
      throw new Refusal("CBOR", { fault: "text is not UTF-8" });
    }
  }

  /**
   * @param {number} count
   * @param {number} depth
   */
  array(count, depth) {
    /** @type {Value[]} */
    const items = [];
    for (let number = 0; number < count; number++) items.push(this.item(depth));
    return items;
  }

  /**
   * @param {number} count
   * @param {number} depth
   */
  map(count, depth) {
    /** @type {ValueMap} */
    const items = new Map();
    let previous = new Uint8Array();
    for (let number = 0; number < count; number++) {
      const start = this.at;
      const key = this.item(depth);
      if (typeof key !== "number" && typeof key !== "bigint" && typeof key !== "string" && !(key instanceof Uint8Array)) {
        throw new Refusal("CBOR", { fault: "map key is no integer or string" });
      }
      const encoded = this.data.slice(start, this.at);
      if (number && compareBytes(encoded, previous) <= 0) {
        throw new Refusal("CBOR", { fault: "map keys unsorted or repeated" });
      }
      previous = encoded;
      items.set(key, this.item(depth));
    }
    return items;
  }
}

/**
 * -1 - ``argument``, without rounding.
 * @param {number} argument
 */
function negative(argument) {
  return argument === Number.MAX_SAFE_INTEGER ? -1n - BigInt(argument) : -1 - argument;
}

/**
 * @param {number} value
 * @returns {boolean | null}
 */
function simple(value) {
  if (value === 20) return false;
  if (value === 21) return true;
  if (value === 22) return null;
  throw new Refusal("CBOR", { fault: "float or simple value" });
}

/**
 * The first bytes of a byte string of ``length``, as the deterministic encoding writes them.
 * @param {number} length below 2^32
 */
export function bytesHead(length) {
  if (length < 24) return Uint8Array.of(0x40 | length);
  if (length < 0x100) return Uint8Array.of(0x58, length);
  if (length < 0x10000) return Uint8Array.of(0x59, length >> 8, length & 0xff);
  return Uint8Array.of(0x5a, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
}
