// @ts-check
/** The one place where the device's trust is put together: stored files, re-verified at each start, never just believed. */

import { Memory } from "../core/memory.js";
import { isExpired, isStale } from "../core/signed-list.js";
import { loadTrust } from "../core/trust.js";
import { memoryOf, saveMemory } from "./device-memory.js";
import { trustFiles } from "./trust-files.js";

/** @typedef {import("../core/trust.js").Trust} Trust */

/**
 * ``connectOnce``: nothing is known here, or not any more, and only the network can help. ``save`` stores what checks have
 * learnt; call it after each.
 * @typedef {object} DeviceTrust
 * @property {Trust} trust
 * @property {Memory} memory
 * @property {boolean} connectOnce
 * @property {number | null} oldest the signed time of the oldest list that is needed: the age to show
 * @property {() => Promise<void>} save
 */

/**
 * @param {import("./store.js").Store} store
 * @param {{plates: () => Promise<import("./trust-files.js").StoredFile | null>} | null} [vault] gives the plate list while open
 * @returns {Promise<DeviceTrust>}
 * @throws {import("../core/errors.js").Refusal} STORAGE
 */
export async function currentTrust(store, vault = null) {
  const stored = await store.read("files", "state");
  const known = memoryOf(stored.state.get("memory"));
  const memory = known ?? new Memory();
  // Lists without the memory of them may be older ones put back: they count for nothing until the network has spoken.
  const files = known === null ? { statusLists: new Map() } : trustFiles(stored.files);
  const trust = await loadTrust(files, memory);
  const plates = trust.bundle === null ? null : ((await vault?.plates()) ?? null);
  if (plates !== null) trust.plateList = await trust.readPlates(plates.data);
  return {
    trust,
    memory,
    connectOnce: trust.bundle === null || trust.index === null,
    oldest: await oldestTime(trust),
    save: () => saveMemory(store, memory),
  };
}

/**
 * @param {Trust} trust
 * @returns {Promise<number | null>} null where something is missing
 */
async function oldestTime(trust) {
  if (trust.index === null) return null;
  const times = [trust.index.frame.issuedAt];
  for (const number of trust.index.lists.keys()) {
    const list = await trust.statusList(number);
    if (list === null) return null;
    times.push(list.frame.issuedAt);
  }
  if (trust.plateList !== null) times.push(trust.plateList.frame.issuedAt);
  return Math.min(...times);
}

/**
 * Whether checks are as good as they can be: by the lists alone, not by when they were fetched.
 * @param {Trust} trust
 * @param {number} now seconds
 * @returns {"fresh" | "old" | "none"}
 */
export function ageOfLists(trust, now) {
  const frames = [trust.index?.frame, trust.bundle?.frame, trust.plateList?.frame].filter((one) => one !== undefined);
  if (frames.some((one) => isExpired(one, now))) return "none";
  return frames.some((one) => isStale(one, now)) ? "old" : "fresh";
}
