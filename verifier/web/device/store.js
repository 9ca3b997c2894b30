// @ts-check
/**
 * What the device keeps, in IndexedDB: published files as they came, what it remembers, keys that cannot be exported,
 * counters and the log. One transaction is all or nothing, and two tabs never change the same entry at once.
 */

import { Refusal } from "../core/errors.js";

const DATABASE = "stadtpass";
const VERSION = 1;
const PARTS = /** @type {const} */ (["files", "state", "keys", "counters", "log"]);

/** @typedef {typeof PARTS[number]} Part */
/** One change in a transaction; ``value`` undefined deletes. @typedef {{part: Part, key: string, value: unknown}} Change */

/** The open database. Every method throws Refusal STORAGE where the browser refuses to read or write. */
export class Store {
  #database;
  #closed = false;

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
    giveWay(database);
  }

  /**
   * @param {Part} part
   * @param {string} key
   * @returns {Promise<unknown>} undefined where nothing is
   */
  async get(part, key) {
    /** @type {unknown} */
    let found;
    await this.#run([part], "readonly", (transaction) => {
      const request = transaction.objectStore(part).get(key);
      request.onsuccess = () => (found = request.result);
    });
    return found;
  }

  /**
   * Everything in the named parts, as it was at one moment.
   * @template {Part} P
   * @param {...P} parts
   * @returns {Promise<Record<P, Map<string, unknown>>>}
   */
  async read(...parts) {
    const found = /** @type {Record<P, Map<string, unknown>>} */ ({});
    await this.#run(parts, "readonly", (transaction) => {
      for (const part of parts) {
        /** @type {Map<string, unknown>} */
        const entries = (found[part] = new Map());
        const request = transaction.objectStore(part).openCursor();
        request.onsuccess = () => {
          const cursor = request.result;
          if (cursor === null) return;
          entries.set(String(cursor.key), cursor.value);
          cursor.continue();
        };
      }
    });
    return found;
  }

  /**
   * @param {Part} part
   * @param {string} key
   * @param {unknown} value
   */
  put(part, key, value) {
    return this.write([{ part, key, value }]);
  }

  /**
   * @param {Part} part
   * @param {string} key
   */
  delete(part, key) {
    return this.write([{ part, key, value: undefined }]);
  }

  /**
   * All changes or none.
   * @param {Change[]} changes
   */
  async write(changes) {
    if (!changes.length) return;
    const parts = [...new Set(changes.map((one) => one.part))];
    await this.#run(parts, "readwrite", (transaction) => apply(transaction, changes));
  }

  /**
   * Change one entry by what is there, with no other tab in between; ``change`` gives the new value, undefined to delete.
   * @template T
   * @param {Part} part
   * @param {string} key
   * @param {(known: unknown) => T} change must not wait for anything; what it throws leaves all as it was
   * @returns {Promise<T>}
   */
  update(part, key, change) {
    return this.decide(part, key, (known) => {
      const value = change(known);
      return { answer: value, changes: [{ part, key, value }] };
    });
  }

  /**
   * Look at one entry and make the changes that ``decide`` gives, in one transaction over all parts.
   * @template T
   * @param {Part} part
   * @param {string} key
   * @param {(known: unknown) => {answer: T, changes: Change[]}} decide must not wait for anything
   * @returns {Promise<T>}
   */
  async decide(part, key, decide) {
    /** @type {T | undefined} */
    let answer;
    /** @type {unknown} */
    let fault;
    try {
      await this.#run([...PARTS], "readwrite", (transaction) => {
        const request = transaction.objectStore(part).get(key);
        request.onsuccess = () => {
          try {
            const decided = decide(request.result);
            answer = decided.answer;
            apply(transaction, decided.changes);
          } catch (thrown) {
            fault = thrown instanceof DOMException ? storageRefusal(thrown) : thrown;
            transaction.abort();
          }
        };
      });
    } catch (refused) {
      throw fault ?? refused;
    }
    return /** @type {T} */ (answer);
  }

  /** @param {Part} part */
  clear(part) {
    return this.#run([part], "readwrite", (transaction) => void transaction.objectStore(part).clear());
  }

  /** Forget everything: keys, lists, memory, counters. */
  wipe() {
    return this.#run([...PARTS], "readwrite", (transaction) => {
      for (const part of PARTS) transaction.objectStore(part).clear();
    });
  }

  close() {
    this.#closed = true;
    this.#database.close();
  }

  /**
   * @param {readonly Part[]} parts
   * @param {IDBTransactionMode} mode
   * @param {(transaction: IDBTransaction) => void} work
   * @returns {Promise<void>} once everything is on disk
   */
  async #run(parts, mode, work) {
    const transaction = this.#begin(parts, mode) ?? (await this.#reopened(parts, mode));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(undefined);
      transaction.onabort = () => reject(storageRefusal(transaction.error));
      try {
        work(transaction);
      } catch (fault) {
        transaction.abort();
        reject(storageRefusal(fault));
      }
    });
  }

  /**
   * @param {readonly Part[]} parts
   * @param {IDBTransactionMode} mode
   * @returns {IDBTransaction | null} null where the browser has closed the database, as it may at any time
   */
  #begin(parts, mode) {
    try {
      return this.#database.transaction([...parts], mode, { durability: "strict" });
    } catch (fault) {
      if (fault instanceof DOMException && fault.name === "InvalidStateError" && !this.#closed) return null;
      throw storageRefusal(fault);
    }
  }

  /**
   * @param {readonly Part[]} parts
   * @param {IDBTransactionMode} mode
   * @returns {Promise<IDBTransaction>}
   */
  async #reopened(parts, mode) {
    this.#database = await openDatabase();
    giveWay(this.#database);
    const transaction = this.#begin(parts, mode);
    if (transaction === null) throw new Refusal("STORAGE", { fault: "InvalidStateError" });
    return transaction;
  }
}

/**
 * Another tab wants the database gone or newer: do not stand in its way.
 * @param {IDBDatabase} database
 */
function giveWay(database) {
  database.onversionchange = () => database.close();
}

/**
 * Open the device's database, making it if there is none.
 * @returns {Promise<Store>}
 * @throws {Refusal} STORAGE where the browser offers none, as in some private windows
 */
export async function openStore() {
  return new Store(await openDatabase());
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  return new Promise((resolve, reject) => {
    let request;
    try {
      request = indexedDB.open(DATABASE, VERSION);
    } catch (fault) {
      reject(storageRefusal(fault));
      return;
    }
    request.onupgradeneeded = () => {
      for (const part of PARTS) request.result.createObjectStore(part);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(storageRefusal(request.error));
  });
}

/**
 * Ask the browser to keep what is stored. Safari and Chromium decide by themselves, Firefox asks the person and waits.
 * @returns {Promise<boolean | null>} whether it will; null where it does not say
 */
export async function persist() {
  const storage = navigator.storage;
  if (typeof storage?.persist !== "function") return null;
  return (await storage.persisted()) || (await storage.persist());
}

/**
 * @param {IDBTransaction} transaction
 * @param {Change[]} changes
 */
function apply(transaction, changes) {
  for (const { part, key, value } of changes) {
    const entries = transaction.objectStore(part);
    if (value === undefined) entries.delete(key);
    else entries.put(value, key);
  }
}

/** @param {unknown} fault */
function storageRefusal(fault) {
  return new Refusal("STORAGE", { fault: fault instanceof Error ? fault.name : "aborted" });
}
