// @ts-check
/**
 * The status list: what has become of every pass, two bits each (draft-ietf-oauth-status-list-21, CWT form). Entry i is
 * in byte i//4, from the least significant bits up, the whole compressed with zlib (RFC 1950).
 */

import { owned } from "./bytes.js";
import { verifySign1 } from "./cose.js";
import { Refusal } from "./errors.js";
import { readList } from "./signed-list.js";

export const STATUS_LIST_MAX_BYTES = 512 * 1024;
export const VALID = 0;
export const INVALID = 1;
export const SUSPENDED = 2;
export const SUPERSEDED = 3;

const TYP = "application/statuslist+cwt";
const STATUS_LIST = 65533;
const BITS = 2;
const ENTRIES = 1 << 20;
const RAW_BYTES = (ENTRIES * BITS) / 8;
const PIECE_BYTES = 2048;

/** A verified status list. */
export class StatusList {
  #raw;

  /**
   * @param {import("./signed-list.js").Frame} frame
   * @param {Uint8Array} raw
   */
  constructor(frame, raw) {
    this.frame = frame;
    this.#raw = raw;
  }

  /**
   * @param {number} index
   * @returns {number | null} the status; null outside the list (draft, 8.3)
   */
  at(index) {
    // An index can have 32 bits, more than shifting works on.
    const octet = this.#raw[Math.floor(index / 4)];
    return octet === undefined ? null : (octet >> ((index % 4) * BITS)) & 3;
  }
}

/**
 * Read a status list without checking its signature.
 * @param {Uint8Array} data
 * @throws {Refusal} LIST_MALFORMED
 */
export function readStatusList(data) {
  return readList(data, TYP, STATUS_LIST_MAX_BYTES);
}

/**
 * @param {import("./signed-list.js").UnverifiedList} unverified
 * @param {import("./cose.js").PublicKey} key
 * @returns {Promise<StatusList>}
 * @throws {Refusal} SIGNATURE, STATUS_LIST_FORM
 */
export async function verifiedStatusList(unverified, key) {
  await verifySign1(unverified.message, key);
  const content = unverified.claims.get(STATUS_LIST);
  if (!(content instanceof Map) || content.get("bits") !== BITS || content.size !== 2) {
    throw new Refusal("STATUS_LIST_FORM", { fault: "not two bits an entry" });
  }
  const compressed = content.get("lst");
  if (!(compressed instanceof Uint8Array)) throw new Refusal("STATUS_LIST_FORM", { fault: "no list" });
  return new StatusList(unverified.frame, await inflated(compressed));
}

/**
 * Unpack, never holding more than a list can have and what a few pieces unpack to.
 * @param {Uint8Array} compressed
 */
async function inflated(compressed) {
  const stream = inPieces(owned(compressed)).pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const raw = new Uint8Array(RAW_BYTES);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return raw.subarray(0, length);
      if (length + value.length > RAW_BYTES) throw new Refusal("STATUS_LIST_FORM", { fault: "larger than a list can be" });
      raw.set(value, length);
      length += value.length;
    }
  } catch (fault) {
    await reader.cancel().catch(() => undefined);
    if (fault instanceof Refusal) throw fault;
    // Damaged, cut off, or with bytes behind its end.
    throw new Refusal("STATUS_LIST_FORM", { fault: "not zlib" });
  }
}

/**
 * The bytes piece by piece, the next one when it is asked for. Browsers unpack all of a piece before anyone reads: given
 * at once, half a megabyte would be unpacked to half a gigabyte.
 * @param {import("./bytes.js").Bytes} bytes
 * @returns {ReadableStream<import("./bytes.js").Bytes>}
 */
function inPieces(bytes) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.subarray(at, (at += PIECE_BYTES)));
      if (at >= bytes.length) controller.close();
    },
  });
}
