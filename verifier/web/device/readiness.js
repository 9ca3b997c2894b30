// @ts-check
/** Whether this device is ready for a shift without network: everything is opened and tried, nothing taken from a note. */

import { TOLERANCE } from "../core/seal-check.js";
import { isExpired, isStale } from "../core/signed-list.js";
import { appFiles } from "./app-files.js";
import { failedSelfTest } from "./self-test.js";
import { persist } from "./store.js";
import { currentTrust } from "./trust-source.js";

// The service worker's script is kept by the browser itself.
const NOT_KEPT = new Set(["sw.js"]);
const ANSWER_MS = 2000;

/** @typedef {"cache" | "storage" | "lists" | "plates" | "clock" | "decoder" | "camera" | "selftest"} CheckName */
/**
 * ``detail`` is a code for the text: OK, or what is amiss.
 * @typedef {{check: CheckName, ok: "yes" | "warn" | "no", detail: string}} Readiness
 */
/** Starts what is to be tried and stops it again; rejects with what is amiss. @typedef {() => Promise<void>} Probe */

/**
 * @param {object} given
 * @param {import("./store.js").Store} given.store
 * @param {import("./vault.js").Vault | null} given.vault null for a device that gets no plate list
 * @param {number} given.now seconds
 * @param {{decoder?: Probe, camera?: Probe}} [given.probes] what the page can start; left out, it is not reported
 * @returns {Promise<Readiness[]>}
 * @throws {import("../core/errors.js").Refusal} STORAGE
 */
export async function selfTest({ store, vault, now, probes = {} }) {
  const { trust } = await currentTrust(store, vault);
  /** @type {Readiness[]} */
  const found = [
    await cache(),
    await storage(),
    await lists(trust, now),
    ...(vault === null ? [] : [await plates(trust, vault, now)]),
    clock(trust.newestTime, await store.get("state", "sync"), now),
  ];
  for (const check of /** @type {const} */ (["decoder", "camera"])) {
    const probe = probes[check];
    if (probe !== undefined) found.push(await probed(check, probe));
  }
  const failed = await failedSelfTest();
  return [...found, failed === null ? yes("selftest") : { check: "selftest", ok: "no", detail: "SELFTEST_FAILED" }];
}

/** @returns {Promise<Readiness>} */
async function cache() {
  const app = await appFiles();
  if (app === null) return { check: "cache", ok: "no", detail: "CACHE_UNKNOWN" };
  const needed = app.files.filter(({ path }) => !NOT_KEPT.has(path));
  if (needed.some(({ kept }) => kept === "other")) return { check: "cache", ok: "no", detail: "CACHE_DIFFERS" };
  if (needed.some(({ kept }) => kept === "missing")) return { check: "cache", ok: "no", detail: "CACHE_INCOMPLETE" };
  return yes("cache");
}

/**
 * Firefox asks the person, who may leave the question open for ever: the other checks do not wait for that.
 * @returns {Promise<Readiness>}
 */
async function storage() {
  /** @type {Promise<null>} */
  const unanswered = new Promise((resolve) => setTimeout(resolve, ANSWER_MS, null));
  return (await Promise.race([persist(), unanswered])) === true ? yes("storage") : { check: "storage", ok: "warn", detail: "STORAGE_MAY_GO" };
}

/**
 * @param {import("../core/trust.js").Trust} trust
 * @param {number} now
 * @returns {Promise<Readiness>}
 */
async function lists(trust, now) {
  const { bundle, index } = trust;
  if (bundle === null || index === null) return { check: "lists", ok: "no", detail: "CONNECT_ONCE" };
  if (isExpired(bundle.frame, now)) return { check: "lists", ok: "no", detail: "LISTS_EXPIRED" };
  const frames = [bundle.frame, index.frame];
  for (const number of index.lists.keys()) {
    const list = await trust.statusList(number);
    if (list === null || isExpired(list.frame, now)) return { check: "lists", ok: "no", detail: "LISTS_MISSING" };
    frames.push(list.frame);
  }
  const stale = frames.some((frame) => isStale(frame, now));
  return stale ? { check: "lists", ok: "warn", detail: "LISTS_STALE" } : yes("lists");
}

/**
 * @param {import("../core/trust.js").Trust} trust
 * @param {import("./vault.js").Vault} vault
 * @param {number} now
 * @returns {Promise<Readiness>}
 */
async function plates({ plateList }, vault, now) {
  const state = await vault.state();
  if (state !== "open") return { check: "plates", ok: "no", detail: `PLATES_${state.toUpperCase()}` };
  if (plateList === null || isExpired(plateList.frame, now)) return { check: "plates", ok: "no", detail: "PLATES_MISSING" };
  return isStale(plateList.frame, now) ? { check: "plates", ok: "warn", detail: "PLATES_STALE" } : yes("plates");
}

/**
 * Behind the newest signed time a clock is wrong for certain; beside the server's, at the last refresh, probably.
 * @param {number} newest
 * @param {unknown} synced
 * @param {number} now
 * @returns {Readiness}
 */
function clock(newest, synced, now) {
  if (now < newest - TOLERANCE) return { check: "clock", ok: "no", detail: "CLOCK_BEHIND" };
  const { clockAhead } = /** @type {{clockAhead?: unknown}} */ (synced ?? {});
  const differs = typeof clockAhead === "number" && Math.abs(clockAhead) > TOLERANCE;
  return differs ? { check: "clock", ok: "warn", detail: "CLOCK_DIFFERS" } : yes("clock");
}

/**
 * @param {"decoder" | "camera"} check
 * @param {Probe} probe
 * @returns {Promise<Readiness>}
 */
async function probed(check, probe) {
  try {
    await probe();
    return yes(check);
  } catch (fault) {
    const { code } = /** @type {{code?: unknown}} */ (fault ?? {});
    const detail = `${check.toUpperCase()}_${typeof code === "string" ? code : "FAULT"}`;
    return { check, ok: check === "camera" ? "warn" : "no", detail };
  }
}

/**
 * @param {CheckName} check
 * @returns {Readiness}
 */
function yes(check) {
  return { check, ok: "yes", detail: "OK" };
}
