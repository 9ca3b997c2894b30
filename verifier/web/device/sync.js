// @ts-check
/**
 * Bringing the lists up to date. Everything is fetched aside and verified with a copy of the memory, as a check would; only
 * a set that holds together replaces the old one, in one transaction. The plate list follows in a second one: whatever is
 * amiss with it holds up no revocation. Checks never wait for this.
 */

import { Refusal } from "../core/errors.js";
import { INDEX_MAX_BYTES } from "../core/list-index.js";
import { Memory } from "../core/memory.js";
import { PLATE_LIST_MAX_BYTES } from "../core/plate-list.js";
import { STATUS_LIST_MAX_BYTES } from "../core/status-list.js";
import { loadTrust, spkiOfPem } from "../core/trust.js";
import { BUNDLE_MAX_BYTES } from "../core/bundle.js";
import { copyMemory, memoryOf, merged, rootKidOf } from "./device-memory.js";
import { download } from "./download.js";
import { BUNDLE, INDEX, PLATES, ROOT, statusName, storedFile, trustFiles } from "./trust-files.js";

const LONGEST_ROOT = 10_000;
/** Held by whoever changes lists or pinned root. */
export const SYNC_LOCK = "stadtpass-sync";
// The plate list is by far the largest file, and nothing waits for it.
const PLATES_MILLISECONDS = 120_000;
/** What makes a plate list one that nobody should have sent. */
const DOUBTFUL = new Set(["UNTRUSTED", "ROLLED_BACK", "TOO_LARGE"]);
const MINUTES_15 = 15 * 60_000;

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./trust-files.js").StoredFile} StoredFile */
/** @typedef {import("../core/trust.js").Trust} Trust */

/**
 * What came of it. ``locked``: the office has locked or removed this device, the lists for all were still refreshed.
 * ``code`` says more, of the lists or else of the plate list: NO_ANSWER, ANSWER, TOO_LARGE, UNTRUSTED, ROLLED_BACK,
 * OTHER_ROOT, VAULT_EMPTY, STORAGE, or what a 401 said. DEVICE_LEASE: for the server the shift is over, so key and list
 * are gone and a new shift may begin. ``plates`` is null where none were asked for; "refused" and "offline" leave the
 * plate list as it was. ``clockAhead`` is the device's clock less the server's, in seconds.
 * @typedef {object} Synced
 * @property {"updated" | "unchanged" | "offline" | "untrusted" | "locked"} outcome
 * @property {string | null} code
 * @property {number} fetched how many files
 * @property {"updated" | "unchanged" | "refused" | "offline" | null} plates
 * @property {number | null} clockAhead
 */

/**
 * Where the plate list goes, encrypted: `Vault` while it is open.
 * @typedef {object} PlateSink
 * @property {() => Promise<import("./vault.js").VaultState>} state
 * @property {() => Promise<StoredFile | null>} plates the list as it is here, opened
 * @property {(file: StoredFile) => Promise<Change>} sealed the change that stores a list
 * @property {() => Promise<void>} destroy key and list
 */

/**
 * @param {object} given
 * @param {Store} given.store
 * @param {number} given.now seconds
 * @param {import("./download.js").Fetch} [given.ask] how to fetch what is for all
 * @param {PlateSink | null} [given.vault] open, or the plate list is left as it is
 * @param {((path: string) => Promise<Record<string, string>>) | null} [given.sign] headers for this device's request
 * @returns {Promise<Synced>}
 * @throws {Refusal} STORAGE
 */
export async function sync({ store, now, ask = (url, init) => fetch(url, init), vault = null, sign = null }) {
  const run = new Run(store, now, ask, vault, sign);
  // Another tab at the same work is waited for: then nearly everything is unchanged.
  return await navigator.locks.request(SYNC_LOCK, async () => await run.finish());
}

/**
 * Sync now, whenever the network or the page comes back, and every 15 minutes while the page is to be seen.
 * @param {() => Promise<unknown>} work must not throw
 * @returns {() => void} stops it
 */
export function keepInSync(work) {
  const visible = () => {
    if (document.visibilityState === "visible") void work();
  };
  const timer = setInterval(visible, MINUTES_15);
  addEventListener("online", visible);
  document.addEventListener("visibilitychange", visible);
  void work();
  return () => {
    clearInterval(timer);
    removeEventListener("online", visible);
    document.removeEventListener("visibilitychange", visible);
  };
}

/**
 * What came of it in one word: ``outcome``, or what the plate list's code adds to it.
 * @param {Synced} told
 * @returns {string}
 */
export function outcomeOf({ outcome, code, plates }) {
  if (code === "DEVICE_LEASE") return "over";
  // Locked meanwhile there is nothing to store a list under, and nothing amiss.
  const failed = plates === "refused" || plates === "offline";
  if ((outcome !== "updated" && outcome !== "unchanged") || !failed || code === "VAULT_EMPTY") return outcome;
  if (code === "DEVICE_CLOCK") return "plates_clock";
  return code !== null && DOUBTFUL.has(code) ? "plates_refused" : "plates_offline";
}

/** One run: what is here, and what came. */
class Run {
  /** @type {Map<string, unknown>} as stored */
  #known = new Map();
  /** @type {Map<string, StoredFile>} the set that is to be */
  #aside = new Map();
  /** @type {number | null} */
  #clockAhead = null;
  #fetched = 0;
  /** Whether the server has let stored files stand, and whether it is asked to. */
  #stood = false;
  #mayStand = true;

  /**
   * @param {Store} store
   * @param {number} now
   * @param {import("./download.js").Fetch} ask
   * @param {PlateSink | null} vault
   * @param {((path: string) => Promise<Record<string, string>>) | null} sign
   */
  constructor(store, now, ask, vault, sign) {
    this.store = store;
    this.now = now;
    this.ask = ask;
    this.vault = vault;
    this.sign = sign;
  }

  /** @returns {Promise<Synced>} */
  async finish() {
    try {
      return await this.#finish();
    } catch (fault) {
      if (!(fault instanceof Refusal) || fault.code === "STORAGE") throw fault;
      const unreachable = fault.code === "NO_ANSWER" || fault.code === "ANSWER";
      if (unreachable || !this.#stood) return this.#told(unreachable ? "offline" : "untrusted", fault.code, null);
      // A stored file may be damaged, and the server cannot know: once more, with every file fetched whole.
      this.#aside.clear();
      this.#stood = this.#mayStand = false;
      return await this.finish();
    }
  }

  /** @returns {Promise<Synced>} */
  async #finish() {
    const stored = await this.store.read("files", "state");
    this.#known = stored.files;
    const memory = memoryOf(stored.state.get("memory")) ?? new Memory();
    await this.#bringSet(memory, stored.state.get("rootKid"));
    const checked = memory.copy();
    const trust = await loadTrust(trustFiles(this.#aside), checked);
    if (!(await holdsTogether(trust))) throw await this.#refusal(memory, holdsTogether);
    await this.#swap(checked);
    const plates = await this.#bringPlates(trust, checked);
    if (plates.locked || plates.code === "DEVICE_LEASE") await this.vault?.destroy();
    const outcome = plates.locked ? "locked" : this.#fetched ? "updated" : "unchanged";
    return this.#told(outcome, plates.code, plates.told);
  }

  /**
   * The index comes before the lists that it names: a list newer than its index says is taken, an older one is not.
   * @param {Memory} memory
   * @param {unknown} rootKid of the invitation, hex
   */
  async #bringSet(memory, rootKid) {
    if (memory.rootSpki === null) {
      await this.#bring(ROOT, "lists/root.pub", LONGEST_ROOT);
      const spki = spkiOfPem(trustFiles(this.#aside).rootPem ?? "");
      if (typeof rootKid === "string" && rootKid !== (await rootKidOf(spki))) throw new Refusal("OTHER_ROOT");
    }
    await this.#bring(BUNDLE, "lists/bundle.cwt", BUNDLE_MAX_BYTES);
    await this.#bring(INDEX, "lists/index.cwt", INDEX_MAX_BYTES);
    const { index } = await loadTrust(trustFiles(this.#aside), memory.copy());
    if (index === null) throw await this.#refusal(memory, async (trust) => trust.index !== null);
    for (const number of index.lists.keys()) {
      await this.#bring(statusName(number), `status/${number}`, STATUS_LIST_MAX_BYTES);
    }
  }

  /**
   * @param {string} name
   * @param {string} path
   * @param {number} longest
   */
  async #bring(name, path, longest) {
    const here = this.#mayStand ? storedFile(this.#known.get(name)) : null;
    const came = await download(this.ask, path, longest, here?.etag ?? null);
    if (came.serverTime !== null) this.#clockAhead = this.now - came.serverTime;
    if (came.data === null && here !== null) {
      this.#aside.set(name, here);
      this.#stood = true;
    } else if (came.data !== null) {
      this.#aside.set(name, { data: came.data, etag: came.etag });
      this.#fetched += 1;
    }
  }

  /**
   * Why what came will not do: a roll-back is what would do on a device that has seen nothing newer.
   * @param {Memory} memory
   * @param {(trust: Trust) => Promise<boolean>} would
   */
  async #refusal(memory, would) {
    const fresh = new Memory();
    if (memory.rootSpki !== null) fresh.pin(memory.rootSpki);
    const older = await would(await loadTrust(trustFiles(this.#aside), fresh));
    return new Refusal(older ? "ROLLED_BACK" : "UNTRUSTED");
  }

  /**
   * The plate list, for a set that is in force already.
   * @param {Trust} trust
   * @param {Memory} checked the memory that ``trust`` writes to
   * @returns {Promise<{told: Synced["plates"], code: string | null, locked: boolean}>}
   */
  async #bringPlates(trust, checked) {
    try {
      return { told: await this.#freshPlates(trust, checked), code: null, locked: false };
    } catch (fault) {
      if (!(fault instanceof Refusal)) throw fault;
      const { status, problem } = fault.params;
      const code = status === 401 ? String(problem ?? "") : fault.code;
      const unreachable = fault.code === "NO_ANSWER" || (fault.code === "ANSWER" && status !== 401);
      const locked = status === 401 && (code === "DEVICE_LOCKED" || code === "DEVICE_UNKNOWN");
      return { told: unreachable ? "offline" : "refused", code, locked };
    }
  }

  /**
   * @param {Trust} trust
   * @param {Memory} checked
   * @returns {Promise<Synced["plates"]>}
   * @throws {Refusal} what `download` throws; UNTRUSTED, ROLLED_BACK, NOT_ENROLLED, VAULT_EMPTY, STORAGE
   */
  async #freshPlates(trust, checked) {
    // Closed, there is no key to store a list under: what is here stays.
    if (this.vault === null || this.sign === null || (await this.vault.state()) !== "open") return null;
    const here = await this.vault.plates();
    const headers = await this.sign("lists/plates.cwt");
    const etag = here?.etag ?? null;
    const came = await download(this.ask, "lists/plates.cwt", PLATE_LIST_MAX_BYTES, etag, headers, PLATES_MILLISECONDS);
    const data = came.data ?? here?.data;
    if (data === undefined || (await trust.readPlates(data)) === null) throw new Refusal("UNTRUSTED");
    if (came.data === null) return "unchanged";
    await this.#replace(checked, [await this.vault.sealed({ data: came.data, etag: came.etag })]);
    this.#fetched += 1;
    return "updated";
  }

  /**
   * Replace the old set by the new one.
   * @param {Memory} checked
   */
  async #swap(checked) {
    /** @type {Change[]} */
    const changes = [];
    for (const name of this.#known.keys()) {
      if (name !== PLATES && !this.#aside.has(name)) changes.push({ part: "files", key: name, value: undefined });
    }
    for (const [key, value] of this.#aside) changes.push({ part: "files", key, value });
    const state = { at: this.now, clockAhead: this.#clockAhead };
    changes.push({ part: "state", key: "sync", value: state });
    await this.#replace(checked, changes);
  }

  /**
   * Make the changes with the memory of them, unless another tab has come further meanwhile.
   * @param {Memory} checked
   * @param {Change[]} changes
   */
  async #replace(checked, changes) {
    const json = await this.store.decide("state", "memory", (stored) => {
      const both = merged(stored, checked);
      for (const [name, [sequence]] of Object.entries(checked.toJson().lists)) {
        if ((both.lists[name]?.[0] ?? sequence) > sequence) throw new Refusal("ROLLED_BACK");
      }
      return { answer: both, changes: [...changes, { part: "state", key: "memory", value: both }] };
    });
    copyMemory(json);
  }

  /**
   * @param {Synced["outcome"]} outcome
   * @param {string | null} code
   * @param {Synced["plates"]} plates
   * @returns {Synced}
   */
  #told(outcome, code, plates) {
    return { outcome, code, fetched: this.#fetched, plates, clockAhead: this.#clockAhead };
  }
}

/**
 * Whether bundle, index and every list that the index names are here and genuine.
 * @param {Trust} trust
 */
async function holdsTogether(trust) {
  if (trust.bundle === null || trust.index === null) return false;
  for (const number of trust.index.lists.keys()) if ((await trust.statusList(number)) === null) return false;
  return true;
}
