// @ts-check
/**
 * The memory of the device as stored: in IndexedDB, and without the entries seen a second time in localStorage, so that a
 * roll-back stays visible where only one of them was lost.
 */

import { hex, sha256 } from "../core/bytes.js";
import { Refusal } from "../core/errors.js";
import { Memory } from "../core/memory.js";

const KEY = "memory";
const COPY = "stadtpass-memory";

/** @typedef {import("./store.js").Store} Store */

/**
 * @param {unknown} stored what IndexedDB has under ``state``/``memory``
 * @returns {Memory | null} null for a device that knows nothing, or not any more: connect once
 */
export function memoryOf(stored) {
  const known = read(stored);
  const copy = read(storedCopy());
  if (known !== null && copy !== null) known.add(copy);
  const memory = known ?? copy;
  if (memory !== null) memory.changed = false;
  return memory;
}

/**
 * What is stored with the lists of ``memory`` added: no sequence gets lower. Entries are those that are stored: a verdict that
 * was lifted meanwhile does not come back.
 * @param {unknown} stored
 * @param {Memory} memory whose root counts
 * @returns {import("../core/memory.js").MemoryJson}
 */
export function merged(stored, memory) {
  const known = read(stored) ?? memory.copy();
  known.addLists(memory);
  if (memory.rootSpki !== null) known.pin(memory.rootSpki);
  return known.toJson();
}

/**
 * Store what ``memory`` has learnt from checks, as far as no newer list has said otherwise meanwhile; a root that another
 * tab has moved to stays.
 * @param {Store} store
 * @param {Memory} memory which still is to be stored where this fails
 * @throws {Refusal} STORAGE
 */
export async function saveMemory(store, memory) {
  if (!memory.changed) return;
  const noted = memory.takeNoted();
  try {
    const json = await store.update("state", KEY, (stored) => {
      const known = read(stored) ?? memory.copy();
      known.addLists(memory);
      if (known.rootSpki === null && memory.rootSpki !== null) known.pin(memory.rootSpki);
      known.hear(noted);
      return known.toJson();
    });
    copyMemory(json);
  } catch (fault) {
    memory.giveBack(noted);
    throw fault;
  }
}

/**
 * Note root, sequences and times in localStorage as well.
 * @param {import("../core/memory.js").MemoryJson} json
 */
export function copyMemory(json) {
  try {
    localStorage.setItem(COPY, JSON.stringify({ ...json, seen: {} }));
  } catch {
    // Full or switched off: IndexedDB has it.
  }
}

/** Forget the copy as well, with `Store.wipe`. */
export function forgetCopy() {
  try {
    localStorage.removeItem(COPY);
  } catch {
    // Switched off: there is none.
  }
}

/**
 * The key id of a root as an invitation names it.
 * @param {Uint8Array} spki
 * @returns {Promise<string>} hex
 */
export async function rootKidOf(spki) {
  return hex((await sha256(spki)).slice(0, 8));
}

function storedCopy() {
  try {
    return JSON.parse(localStorage.getItem(COPY) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {unknown} json
 * @returns {Memory | null}
 */
function read(json) {
  if (json === undefined || json === null) return null;
  try {
    return Memory.fromJson(json);
  } catch (fault) {
    if (fault instanceof Refusal) return null;
    throw fault;
  }
}
