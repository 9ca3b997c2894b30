// @ts-check
/**
 * The plate list at rest: AES-256-GCM under the key leased for this shift. That key is stored only wrapped, by a passkey's
 * secret or by a PIN. The PIN stops who picks the device up, no more: who can read the browser's storage can try all PINs
 * with the browser. What protects for certain is the lease's end, after which the server's key and this copy are gone.
 */

import { bytesOf, owned } from "../core/bytes.js";
import { Refusal } from "../core/errors.js";
import { passkeySecret } from "./passkey.js";
import { PLATES, storedFile } from "./trust-files.js";

const PIN = /^[0-9]{6,12}$/;
const ITERATIONS = 600_000;
const TRIES = 5;
const KEY_BYTES = 32;
const IV_BYTES = 12;

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./trust-files.js").StoredFile} StoredFile */
/** @typedef {import("./passkey.js").Passkey} Passkey */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** How the person unlocks. @typedef {{pin: string} | {passkey: Passkey}} NewLock */

/**
 * The wrapped key as stored. ``latest`` is the newest time seen by any clock since the lease began.
 * @typedef {object} Wrapped
 * @property {string} lease
 * @property {number} notAfter seconds
 * @property {number} latest seconds
 * @property {Bytes} salt
 * @property {Bytes} iv
 * @property {Bytes} data
 * @property {Passkey | null} passkey null for a PIN
 * @property {number} tries wrong PINs, counted before each is tried
 */

/** @typedef {"empty" | "locked" | "open" | "expired"} VaultState */

/** Dispatches ``change`` when it closes by itself: at the lease's end. One for the app. */
export class Vault extends EventTarget {
  /** @type {{key: CryptoKey, lease: string} | null} */
  #open = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Store} store
   * @param {() => number} clock seconds
   * @param {() => Promise<number>} newestTime the newest signed time known
   */
  constructor(store, clock, newestTime) {
    super();
    this.store = store;
    this.clock = clock;
    this.newestTime = newestTime;
  }

  /**
   * @returns {Promise<VaultState>} "expired" from the lease's end, when key and list are deleted, until the next `begin`
   * @throws {Refusal} STORAGE
   */
  async state() {
    const { wrapped, expired } = await this.#wrapped();
    if (expired) return "expired";
    if (wrapped === null) return "empty";
    return this.#open?.lease === wrapped.lease ? "open" : "locked";
  }

  /** @returns {Promise<{method: "pin" | "passkey", notAfter: number, triesLeft: number} | null>} null while empty */
  async lock() {
    const { wrapped } = await this.#wrapped();
    if (wrapped === null) return null;
    const { passkey, notAfter, tries } = wrapped;
    return { method: passkey === null ? "pin" : "passkey", notAfter, triesLeft: TRIES - tries };
  }

  /**
   * Begin a shift: what was there before is dropped, and the vault is open.
   * @param {import("./identity.js").Lease} lease whose key is overwritten here
   * @param {NewLock} lock
   * @throws {Refusal} PIN_FORM, PASSKEY, STORAGE
   */
  async begin(lease, lock) {
    const passkey = "passkey" in lock ? lock.passkey : null;
    const salt = random(16);
    const iv = random(IV_BYTES);
    try {
      const wrapping = "pin" in lock ? await this.#pinKey(lock.pin, salt) : await passkeyKey(lock.passkey, salt);
      const bound = additional(lease.lease, lease.notAfter);
      const data = await encrypted(wrapping, iv, bound, lease.key);
      /** @type {Wrapped} */
      const wrapped = { lease: lease.lease, notAfter: lease.notAfter, latest: lease.issuedAt, salt, iv, data, passkey, tries: 0 };
      const key = await importAes(lease.key);
      await this.store.write([
        { part: "keys", key: "lease", value: wrapped },
        { part: "files", key: PLATES, value: undefined },
      ]);
      this.#opened(key, wrapped);
    } finally {
      lease.key.fill(0);
    }
  }

  /**
   * @param {string} pin
   * @throws {Refusal} PIN_WRONG with ``left``; VAULT_EMPTY where the lease has ended or the last try was wrong; PIN_FORM; STORAGE
   */
  async openWithPin(pin) {
    if (!PIN.test(pin)) throw new Refusal("PIN_FORM");
    await this.#live("pin");
    // The try is taken before the PIN is tried: closing the page in between wins nothing.
    const wrapped = await this.store.decide("keys", "lease", (stored) => {
      const known = asWrapped(stored);
      if (known === null || known.tries >= TRIES) return { answer: null, changes: gone() };
      const counted = { ...known, tries: known.tries + 1 };
      return { answer: counted, changes: [{ part: "keys", key: "lease", value: counted }] };
    });
    if (wrapped === null) throw new Refusal("VAULT_EMPTY");
    const key = await unwrapped(await this.#pinKey(pin, wrapped.salt), wrapped);
    if (key === null) {
      const left = TRIES - wrapped.tries;
      if (left <= 0) await this.destroy();
      throw left <= 0 ? new Refusal("VAULT_EMPTY") : new Refusal("PIN_WRONG", { left });
    }
    await this.store.update("keys", "lease", (stored) => {
      const known = asWrapped(stored);
      return known?.lease === wrapped.lease ? { ...known, tries: 0 } : stored;
    });
    this.#opened(key, wrapped);
  }

  /**
   * Call it from a tap.
   * @throws {Refusal} PASSKEY, VAULT_EMPTY, STORAGE
   */
  async openWithPasskey() {
    const { wrapped, passkey } = await this.#live("passkey");
    if (passkey === null) throw new Refusal("VAULT_EMPTY");
    const key = await unwrapped(await passkeyKey(passkey, wrapped.salt), wrapped);
    if (key === null) throw new Refusal("PASSKEY", { fault: "another secret" });
    this.#opened(key, wrapped);
  }

  /** Forget the key in memory; with PIN or passkey it opens again. */
  close() {
    clearTimeout(this.#timer);
    this.#open = null;
  }

  /** Delete key and list. What a browser's disk still holds of them is ciphertext, and the lease's key is not with it. */
  async destroy() {
    this.close();
    await this.store.write(gone());
    this.dispatchEvent(new Event("change"));
  }

  /**
   * The plate list as it is here.
   * @returns {Promise<StoredFile | null>} null unless open and here
   * @throws {Refusal} STORAGE
   */
  async plates() {
    if ((await this.state()) !== "open" || this.#open === null) return null;
    const { key, lease } = this.#open;
    const stored = await this.store.get("files", PLATES);
    const file = storedFile(stored);
    const iv = /** @type {{iv?: unknown}} */ (stored ?? {}).iv;
    if (file === null || !(iv instanceof Uint8Array)) return null;
    const data = await decrypted(key, owned(iv), bytesOf(lease), owned(file.data));
    return data === null ? null : { data, etag: file.etag };
  }

  /**
   * The change that stores a plate list, for the transaction that replaces the others.
   * @param {StoredFile} file
   * @returns {Promise<Change>}
   * @throws {Refusal} VAULT_EMPTY unless open
   */
  async sealed({ data, etag }) {
    if (this.#open === null) throw new Refusal("VAULT_EMPTY");
    const { key, lease } = this.#open;
    const iv = random(IV_BYTES);
    const value = { data: await encrypted(key, iv, bytesOf(lease), owned(data)), etag, iv };
    return { part: "files", key: PLATES, value };
  }

  /**
   * @param {"pin" | "passkey"} method
   * @returns {Promise<{wrapped: Wrapped, passkey: Passkey | null}>}
   * @throws {Refusal} VAULT_EMPTY
   */
  async #live(method) {
    const { wrapped } = await this.#wrapped();
    if (wrapped === null || (wrapped.passkey === null) !== (method === "pin")) throw new Refusal("VAULT_EMPTY");
    return { wrapped, passkey: wrapped.passkey };
  }

  /**
   * The wrapped key while its lease lasts. A clock put back does not help: the newest time ever seen counts.
   * @returns {Promise<{wrapped: Wrapped | null, expired: boolean}>}
   */
  async #wrapped() {
    const seen = Math.max(this.clock(), await this.newestTime());
    const found = await this.#decided((stored) => {
      const known = asWrapped(stored);
      /** @type {{wrapped: Wrapped | null, expired: boolean}} */
      const nothing = { wrapped: null, expired: hasEnded(stored) };
      if (known === null) return { answer: nothing, changes: stored === undefined || nothing.expired ? [] : gone() };
      if (known.tries > TRIES) return { answer: nothing, changes: gone() };
      if (Math.max(seen, known.latest) >= known.notAfter) return { answer: { wrapped: null, expired: true }, changes: ended() };
      const wrapped = { ...known, latest: Math.max(seen, known.latest) };
      const changes = wrapped.latest > known.latest ? [{ part: /** @type {const} */ ("keys"), key: "lease", value: wrapped }] : [];
      return { answer: { wrapped, expired: false }, changes };
    });
    if (found.wrapped?.lease !== this.#open?.lease) this.close();
    return found;
  }

  /**
   * As `Store.decide` of the lease; where nothing can be written, by what can be read: a full storage ends no shift.
   * @template T
   * @param {(stored: unknown) => {answer: T, changes: Change[]}} decide
   * @returns {Promise<T>}
   */
  async #decided(decide) {
    try {
      return await this.store.decide("keys", "lease", decide);
    } catch (fault) {
      if (!(fault instanceof Refusal) || fault.code !== "STORAGE") throw fault;
      return decide(await this.store.get("keys", "lease")).answer;
    }
  }

  /**
   * @param {CryptoKey} key
   * @param {Wrapped} wrapped
   */
  #opened(key, wrapped) {
    this.close();
    this.#open = { key, lease: wrapped.lease };
    const left = Math.max(0, wrapped.notAfter - this.clock());
    this.#timer = setTimeout(() => {
      this.close();
      void this.state().finally(() => this.dispatchEvent(new Event("change")));
    }, left * 1000);
  }

  /**
   * PBKDF2 slows a try down, and the device's own key, which cannot be exported, keeps tries on this device.
   * @param {string} pin
   * @param {Bytes} salt
   */
  async #pinKey(pin, salt) {
    if (!PIN.test(pin)) throw new Refusal("PIN_FORM");
    const material = await crypto.subtle.importKey("raw", bytesOf(pin), "PBKDF2", false, ["deriveBits"]);
    const stretching = { name: "PBKDF2", hash: "SHA-256", salt, iterations: ITERATIONS };
    const stretched = await crypto.subtle.deriveBits(stretching, material, KEY_BYTES * 8);
    const mixed = await crypto.subtle.sign("HMAC", await this.#mixingKey(), stretched);
    return importAes(new Uint8Array(mixed));
  }

  /** @returns {Promise<CryptoKey>} made the first time */
  async #mixingKey() {
    const algorithm = { name: "HMAC", hash: "SHA-256", length: 256 };
    const fresh = await crypto.subtle.generateKey(algorithm, false, ["sign"]);
    return this.store.update("keys", "pin", (known) => (known instanceof CryptoKey ? known : fresh));
  }
}

/** @returns {Change[]} */
function gone() {
  return [
    { part: "keys", key: "lease", value: undefined },
    { part: "files", key: PLATES, value: undefined },
  ];
}

/** The lease is over: only that is kept of it. @returns {Change[]} */
function ended() {
  return gone().map((one) => (one.part === "keys" ? { ...one, value: { ended: true } } : one));
}

/** @param {unknown} stored */
function hasEnded(stored) {
  return /** @type {{ended?: unknown}} */ (stored ?? {}).ended === true;
}

/**
 * @param {unknown} stored
 * @returns {Wrapped | null} null for anything else
 */
function asWrapped(stored) {
  const one = /** @type {Partial<Wrapped>} */ (stored ?? {});
  const whole =
    typeof one.lease === "string" &&
    Number.isSafeInteger(one.notAfter) &&
    Number.isSafeInteger(one.latest) &&
    Number.isSafeInteger(one.tries) &&
    [one.salt, one.iv, one.data].every((bytes) => bytes instanceof Uint8Array);
  return whole ? /** @type {Wrapped} */ (one) : null;
}

/**
 * @param {Passkey} passkey
 * @param {Bytes} salt
 */
async function passkeyKey(passkey, salt) {
  const secret = await passkeySecret(passkey);
  const material = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  secret.fill(0);
  const derivation = { name: "HKDF", hash: "SHA-256", salt, info: bytesOf("stadtpass-lease") };
  return importAes(new Uint8Array(await crypto.subtle.deriveBits(derivation, material, KEY_BYTES * 8)));
}

/**
 * @param {CryptoKey} wrapping
 * @param {Wrapped} wrapped
 * @returns {Promise<CryptoKey | null>} null for the wrong one
 */
async function unwrapped(wrapping, { lease, notAfter, iv, data }) {
  const raw = await decrypted(wrapping, iv, additional(lease, notAfter), data);
  if (raw === null) return null;
  const key = await importAes(raw);
  raw.fill(0);
  return key;
}

/**
 * What the wrapped key is bound to: its end cannot be written later in the storage.
 * @param {string} lease
 * @param {number} notAfter
 */
function additional(lease, notAfter) {
  return bytesOf(`stadtpass-lease\n${lease}\n${notAfter}`);
}

/** @param {Bytes} raw */
function importAes(raw) {
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/**
 * @param {CryptoKey} key
 * @param {Bytes} iv
 * @param {Bytes} additionalData
 * @param {Bytes} data
 * @returns {Promise<Bytes>}
 */
async function encrypted(key, iv, additionalData, data) {
  return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, data));
}

/**
 * @param {CryptoKey} key
 * @param {Bytes} iv
 * @param {Bytes} additionalData
 * @param {Bytes} data
 * @returns {Promise<Bytes | null>} null where key or data are not what was encrypted
 */
async function decrypted(key, iv, additionalData, data) {
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, data));
  } catch {
    return null;
  }
}

/** @param {number} length */
function random(length) {
  return crypto.getRandomValues(new Uint8Array(length));
}
