// @ts-check
/**
 * The trust of one device: bundle, index, status lists and plate list, each verified under the pinned root. Whatever is
 * missing, damaged, wrongly signed or rolled back is simply absent, and the verdict says what that means.
 */

import { fromBase64, hex, sameBytes, sha256 } from "./bytes.js";
import { readBundle } from "./bundle.js";
import { publicKey } from "./cose.js";
import { Refusal } from "./errors.js";
import { readIndex, verifiedIndex } from "./list-index.js";
import { readPlateList, verifiedPlateList } from "./plate-list.js";
import { readStatusList, verifiedStatusList } from "./status-list.js";

/** @typedef {import("./memory.js").Memory} Memory */
/** @typedef {import("./bundle.js").Bundle} Bundle */
/** @typedef {import("./list-index.js").ListIndex} ListIndex */
/** @typedef {import("./status-list.js").StatusList} StatusList */
/** @typedef {import("./plate-list.js").PlateList} PlateList */
/** @typedef {import("./signed-list.js").UnverifiedList} UnverifiedList */

/**
 * The published files as they came; what is not there is left out.
 * @typedef {object} TrustFiles
 * @property {string} [rootPem] ``root.pub``, for a device that has pinned no root yet
 * @property {Uint8Array} [bundle]
 * @property {Uint8Array} [index]
 * @property {Map<number, Uint8Array>} statusLists by list number
 * @property {Uint8Array} [plates]
 */

/** What may be believed, and what is absent. */
export class Trust {
  /** @type {Bundle | null} */
  bundle = null;
  /** @type {ListIndex | null} */
  index = null;
  /** @type {PlateList | null} */
  plateList = null;
  /** @type {Map<number, Promise<StatusList | null>>} */
  #statusLists = new Map();

  /**
   * @param {TrustFiles} files
   * @param {Memory} memory
   */
  constructor(files, memory) {
    this.files = files;
    this.memory = memory;
  }

  /** Whether everything here is a test: the root itself is a demo root. */
  get test() {
    return this.bundle?.test ?? false;
  }

  /** The newest signed time known: no honest clock can be behind it. */
  get newestTime() {
    return Math.max(this.memory.newestTime, this.bundle?.frame.issuedAt ?? 0, this.index?.frame.issuedAt ?? 0);
  }

  /**
   * The seal key with this id.
   * @param {Uint8Array} kid
   */
  sealKey(kid) {
    const key = this.bundle?.keys.get(hex(kid));
    return key?.purpose === "seal" ? key : null;
  }

  /**
   * The list key that ``unverified`` names, if it counts for a list of that time.
   * @param {UnverifiedList} unverified
   */
  listKey(unverified) {
    const key = this.bundle?.keys.get(hex(unverified.message.kid));
    if (key === undefined || key.purpose !== "list" || key.state === "revoked") return null;
    const { issuedAt } = unverified.frame;
    if (issuedAt < key.notBefore || issuedAt >= key.notAfter || (key.test && !this.test)) return null;
    return key.publicKey;
  }

  /**
   * The status list with this number, if it is here, genuine and no roll-back.
   * @param {number} number
   * @returns {Promise<StatusList | null>}
   */
  statusList(number) {
    let found = this.#statusLists.get(number);
    if (found === undefined) {
      found = orNull(() => this.#loadStatusList(number));
      this.#statusLists.set(number, found);
    }
    return found;
  }

  /** @param {number} number */
  async #loadStatusList(number) {
    const entry = this.index?.lists.get(number);
    const data = this.files.statusLists.get(number);
    if (entry === undefined || data === undefined) return null;
    const unverified = readStatusList(data);
    const key = this.listKey(unverified);
    if (key === null || unverified.frame.subject !== entry.uri) return null;
    const list = await verifiedStatusList(unverified, key);
    // The index pins the list for a device that has seen none yet; a newer list may replace it.
    if (!sameBytes(await sha256(data), entry.sha256) && list.frame.sequence <= entry.sequence) return null;
    return this.memory.accept(`status/${number}`, list.frame) ? list : null;
  }

  /** @returns {Promise<ListIndex | null>} */
  async loadIndex() {
    if (this.files.index === undefined) return null;
    const unverified = readIndex(this.files.index);
    const key = this.listKey(unverified);
    if (key === null) return null;
    const index = await verifiedIndex(unverified, key);
    return this.memory.accept("index", index.frame) ? index : null;
  }

  /**
   * The plate list in ``data``, if it is genuine and no roll-back.
   * @param {Uint8Array} data
   * @returns {Promise<PlateList | null>}
   */
  async readPlates(data) {
    return orNull(async () => {
      const unverified = readPlateList(data);
      const key = this.listKey(unverified);
      if (key === null) return null;
      const list = await verifiedPlateList(unverified, key);
      return this.memory.accept("plates", list.frame) ? list : null;
    });
  }
}

/**
 * Load what ``files`` hold under the root that ``memory`` has pinned, else under ``files.rootPem``, which it pins then.
 * ``memory`` notes what was accepted; storing it is the caller's.
 * @param {TrustFiles} files
 * @param {Memory} memory
 * @returns {Promise<Trust>}
 */
export async function loadTrust(files, memory) {
  const trust = new Trust(files, memory);
  trust.bundle = await orNull(async () => {
    if (files.bundle === undefined) return null;
    const spki = memory.rootSpki ?? spkiOfPem(files.rootPem ?? "");
    const bundle = await readBundle(files.bundle, await publicKey(spki));
    if (!memory.accept("bundle", bundle.frame)) return null;
    memory.pin(bundle.root.spki);
    return bundle;
  });
  if (trust.bundle === null) return trust;
  trust.index = await orNull(() => trust.loadIndex());
  if (files.plates !== undefined) trust.plateList = await trust.readPlates(files.plates);
  return trust;
}

/**
 * The SubjectPublicKeyInfo in a PEM file.
 * @param {string} pem
 * @returns {Uint8Array}
 * @throws {Refusal} ROOT_FILE
 */
export function spkiOfPem(pem) {
  const found = /^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{1,1000})\r?\n-----END PUBLIC KEY-----\s*$/.exec(pem);
  if (found === null) throw new Refusal("ROOT_FILE");
  return fromBase64((found[1] ?? "").replace(/[\r\n]/g, ""));
}

/**
 * What ``load`` finds; null where it refuses. Faults of ours come through.
 * @template T
 * @param {() => Promise<T | null>} load
 * @returns {Promise<T | null>}
 */
async function orNull(load) {
  try {
    return await load();
  } catch (fault) {
    if (fault instanceof Refusal) return null;
    throw fault;
  }
}
