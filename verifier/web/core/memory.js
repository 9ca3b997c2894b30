// @ts-check
/**
 * What a device remembers between checks: the pinned root, the newest lists seen, entries seen as not valid. It makes a
 * roll-back visible, and holds no plate, no place and no time of a check.
 */

import { fromHex, hex } from "./bytes.js";
import { Refusal } from "./errors.js";
import { VALID } from "./status-list.js";

const VERSION = 1;
// Enough for every pass a city revokes in years; the oldest go first.
const MOST_SEEN = 100_000;

/** @typedef {{version: number, root: string | null, lists: Record<string, [number, number]>, seen: Record<string, [number, number]>}} MemoryJson */

/** The memory of one device. Times are seconds since 1970. ``changed``: something is to be stored. */
export class Memory {
  /** @type {Uint8Array | null} */
  rootSpki = null;
  changed = false;
  /** @type {Map<string, [number, number]>} name of a list: highest sequence, newest issue time */
  #lists = new Map();
  /** @type {Map<string, [number, number]>} entry: status, sequence of the list that said so */
  #seen = new Map();
  /** @type {Map<string, [number, number]>} what this run was told of entries, valid ones it lifted included; not stored */
  #noted = new Map();

  /** The newest signed time ever seen, 0 for none. */
  get newestTime() {
    return Math.max(0, ...Array.from(this.#lists.values(), ([, issuedAt]) => issuedAt));
  }

  /**
   * Note a verified list.
   * @param {string} name
   * @param {import("./signed-list.js").Frame} frame
   * @returns {boolean} false for a roll-back: a sequence lower than one seen before
   */
  accept(name, { sequence, issuedAt }) {
    const [known, newest] = this.#lists.get(name) ?? [-1, 0];
    if (sequence < known) return false;
    if (sequence > known || issuedAt > newest) {
      this.#lists.set(name, [sequence, Math.max(issuedAt, newest)]);
      this.changed = true;
    }
    return true;
  }

  /**
   * Pin the root, or follow a change of roots.
   * @param {Uint8Array} spki
   */
  pin(spki) {
    if (this.rootSpki !== null && hex(this.rootSpki) === hex(spki)) return;
    this.rootSpki = spki;
    this.changed = true;
  }

  /**
   * Note what a list of ``sequence`` said about an entry; a newer valid lifts an older invalid.
   * @param {number} list
   * @param {number} index
   * @param {number} status
   * @param {number} sequence
   */
  rememberStatus(list, index, status, sequence) {
    const entry = `${list}:${index}`;
    const known = this.#seen.get(entry);
    if (status === VALID) {
      if (known === undefined || sequence <= known[1]) return;
      this.#seen.delete(entry);
    } else {
      if (known !== undefined && sequence <= known[1]) return;
      this.#seen.set(entry, [status, sequence]);
      for (const oldest of this.#seen.keys()) {
        if (this.#seen.size <= MOST_SEEN) break;
        this.#seen.delete(oldest);
      }
    }
    this.#noted.set(entry, [status, sequence]);
    this.changed = true;
  }

  /**
   * The invalid status seen for an entry, with the sequence of the list that said so.
   * @param {number} list
   * @param {number} index
   */
  seenStatus(list, index) {
    const [status, sequence] = this.#seen.get(`${list}:${index}`) ?? [];
    return status === undefined || sequence === undefined ? null : { status, sequence };
  }

  /** A memory of its own that knows the same. */
  copy() {
    return Memory.fromJson(this.toJson());
  }

  /**
   * Add what another memory of this device knows: of each list the highest sequence and newest time, of each entry what
   * the newest list says. The pinned root stays.
   * @param {Memory} other
   */
  add(other) {
    this.addLists(other);
    this.hear(other.#seen);
    if (this.rootSpki === null && other.rootSpki !== null) this.pin(other.rootSpki);
  }

  /**
   * Of each list the highest sequence and the newest time count.
   * @param {Memory} other
   */
  addLists(other) {
    for (const [name, [sequence, issuedAt]] of other.#lists) {
      const [known, newest] = this.#lists.get(name) ?? [-1, 0];
      if (sequence <= known && issuedAt <= newest) continue;
      this.#lists.set(name, [Math.max(sequence, known), Math.max(issuedAt, newest)]);
      this.changed = true;
    }
  }

  /**
   * Take what this run has noted of entries, and count it as stored from here on.
   * @returns {Map<string, [number, number]>}
   */
  takeNoted() {
    const noted = this.#noted;
    this.#noted = new Map();
    this.changed = false;
    return noted;
  }

  /**
   * Note again what could not be stored; what was noted meanwhile stays.
   * @param {Map<string, [number, number]>} noted
   */
  giveBack(noted) {
    this.#noted = new Map([...noted, ...this.#noted]);
    this.changed = true;
  }

  /**
   * Hear what another run was told of entries: the newest list counts, a newer valid lifts an older invalid.
   * @param {Map<string, [number, number]>} noted
   */
  hear(noted) {
    for (const [entry, [status, sequence]] of noted) {
      const [list = "", index = ""] = entry.split(":");
      this.rememberStatus(Number(list), Number(index), status, sequence);
    }
  }

  /** @returns {MemoryJson} */
  toJson() {
    return {
      version: VERSION,
      root: this.rootSpki === null ? null : hex(this.rootSpki),
      lists: Object.fromEntries(this.#lists),
      seen: Object.fromEntries(this.#seen),
    };
  }

  /**
   * @param {unknown} json what `toJson` gave
   * @returns {Memory}
   * @throws {Refusal} MEMORY_DAMAGED
   */
  static fromJson(json) {
    const memory = new Memory();
    const { version, root, lists, seen } = /** @type {Partial<Record<string, unknown>>} */ (json ?? {});
    if (version !== VERSION || (root !== null && typeof root !== "string")) throw new Refusal("MEMORY_DAMAGED");
    memory.rootSpki = root === null ? null : rootOf(root);
    memory.#lists = pairs(lists);
    memory.#seen = pairs(seen);
    return memory;
  }
}

/** @param {string} root */
function rootOf(root) {
  try {
    return fromHex(root);
  } catch {
    throw new Refusal("MEMORY_DAMAGED");
  }
}

/**
 * @param {unknown} read
 * @returns {Map<string, [number, number]>}
 */
function pairs(read) {
  if (typeof read !== "object" || read === null || Array.isArray(read)) throw new Refusal("MEMORY_DAMAGED");
  /** @type {Map<string, [number, number]>} */
  const found = new Map();
  for (const [name, pair] of Object.entries(read)) {
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(Number.isSafeInteger)) throw new Refusal("MEMORY_DAMAGED");
    found.set(name, [pair[0], pair[1]]);
  }
  return found;
}
