// @ts-check
/** What the screens know of the device: its lists, its enrolment, the key of its shift, its settings. */

import { Refusal } from "../core/errors.js";
import { forgetCopy } from "../device/device-memory.js";
import { lookUpCard } from "../device/card-lookup.js";
import { askCity, nameOfZone, withMerged } from "../device/zones.js";
import { Identity } from "../device/identity.js";
import { passkeyOf, passkeysOffered } from "../device/passkey.js";
import { selfTest } from "../device/readiness.js";
import { changeSettings, readSettings } from "../device/settings.js";
import { openStore } from "../device/store.js";
import { keepInSync, outcomeOf, sync } from "../device/sync.js";
import { ageOfLists, currentTrust } from "../device/trust-source.js";
import { Vault } from "../device/vault.js";
import { probeCamera } from "../scan/camera.js";
import { Decoder } from "../scan/decoder.js";
import { Wedge } from "../scan/wedge.js";
import { signal } from "./signals.js";
import { Traces } from "./traces.js";

/** @typedef {import("../device/settings.js").Settings & {desk: boolean}} Settings */
/** @typedef {import("../device/identity.js").Zone} Zone */
/**
 * ``bound``: enrolled for certain zones, not for all.
 * @typedef {{state: "pending" | "active" | "locked", device: string, checkCode: string, name: string, role: "warden" | "librarian", bound: boolean}} Enrolment
 */
/** @typedef {{state: "empty" | "locked" | "open" | "expired", until: number | null, method: "pin" | "passkey", offered: boolean}} VaultView */

const MILLISECONDS = 1000;
/** What the service says to a device that was locked or removed. */
const WITHDRAWN = new Set(["DEVICE_LOCKED", "DEVICE_UNKNOWN"]);

const clock = () => Math.floor(Date.now() / MILLISECONDS);

/** One for the app; made by `openDevice`. */
export class Device {
  /** @type {import("../device/trust-source.js").DeviceTrust | null} */
  #lists = null;
  /** @type {Promise<Decoder> | null} */
  #decoder = null;
  #wedge = new Wedge();
  #vault;
  #changed = () => {};
  /** @type {Promise<string> | null} */
  #refreshing = null;
  /** Whether the storage has refused what a check has learnt. */
  #storageFault = false;
  /** @type {Settings} */
  settings;
  /** @type {Enrolment | null} */
  enrolment = null;
  /** @type {VaultView} */
  vault = { state: "empty", until: null, method: "pin", offered: false };
  /** @type {Zone[]} */
  zones = [];
  city = "";
  /** @type {readonly string[]} */
  #cardSchemes = [];
  /** What the last refresh came to. @type {string | null} */
  lastRefresh = null;
  /** Whether the zone was chosen for the shift that has begun or is about to. */
  #zoneChosen = false;

  /**
   * @param {import("../device/store.js").Store} store
   * @param {Settings} settings
   */
  constructor(store, settings) {
    this.store = store;
    this.settings = settings;
    this.identity = new Identity(store, clock);
    this.traces = new Traces(store, clock);
    this.#vault = new Vault(store, clock, async () => this.#lists?.memory.newestTime ?? 0);
    this.#vault.addEventListener("change", () => {
      void this.#stored(() => this.reload(), { reads: true }).then(() => this.#changed());
    });
  }

  /** @returns {import("../core/trust.js").Trust | null} */
  get trust() {
    return this.#lists?.trust ?? null;
  }

  /** Whether checks can begin: lists are here, and a warden's plate list is open. */
  get isReady() {
    const open = this.role !== "warden" || this.enrolment?.state !== "active" || this.vault.state === "open";
    return this.#lists !== null && !this.#lists.connectOnce && open;
  }

  get role() {
    return this.enrolment?.role ?? null;
  }

  /** Whether this device works in certain zones only: a warden's that was enrolled for them. */
  get isBound() {
    return this.enrolment?.state === "active" && this.role === "warden" && this.enrolment.bound;
  }

  /** Whether checks must wait until one of the device's zones is chosen. The desk is in none. */
  get zoneMissing() {
    return this.isBound && !this.settings.desk && !this.zones.some(({ code }) => code === this.settings.zone);
  }

  /** Whether card numbers are looked up with this device: an enrolled one of the library's. */
  get looksUp() {
    return this.role === "librarian" && this.enrolment?.state === "active";
  }

  /** How the library numbers its cards, as far as this device knows. */
  get cardSchemes() {
    return this.role === "librarian" ? this.#cardSchemes : [];
  }

  /** Whether the storage has refused something since it last took anything. */
  get storageRefuses() {
    return this.#storageFault;
  }

  get zoneName() {
    return nameOfZone(this.zones, this.settings.zone);
  }

  /** The zone of the shift with those that were merged into it, as checks go by them. */
  get zoneSettings() {
    return withMerged(this.zones, this.settings.zone);
  }

  /** The signed time of the oldest list, null where one is missing. */
  get oldestList() {
    return this.#lists?.oldest ?? null;
  }

  /**
   * Whether checks are as good as they can be: by the lists alone, not by when they were fetched.
   * @param {number} now seconds
   * @returns {"fresh" | "old" | "none"}
   */
  listState(now) {
    if (this.#lists === null || this.#lists.connectOnce) return "none";
    return ageOfLists(this.#lists.trust, now);
  }

  /** Everything as it is stored, verified again. */
  async reload() {
    this.#lists = await currentTrust(this.store, this.#vault);
    const device = await this.identity.device();
    const known = /** @type {any} */ (await this.store.get("state", "self"));
    this.enrolment = device === null ? null : {
      state: known?.state ?? "pending", device: device.id, checkCode: device.checkCode, name: known?.name ?? "", role: known?.role ?? "warden",
      bound: Boolean(known?.zones?.length),
    };
    const state = await this.#vault.state();
    const held = await this.#vault.lock();
    this.vault = { state, until: held?.notAfter ?? null, method: held?.method ?? "pin", offered: this.vault.offered };
    const city = /** @type {any} */ (await this.store.get("state", "city"));
    this.zones = known?.zones?.length ? known.zones : (city?.zones ?? []);
    this.#cardSchemes = Array.isArray(known?.cardSchemes) ? known.cardSchemes : [];
    this.city = known?.city || city?.city || this.trust?.bundle?.issuer || "";
  }

  /**
   * Bring everything up to date; checks go on meanwhile.
   * @returns {Promise<string>} what came of it: the lists' outcome, or "over", "locked", "plates_refused", "plates_offline",
   *   "plates_clock" of the plate list, or "storage"
   */
  refresh() {
    this.#refreshing ??= this.#refreshed().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  /** A storage that takes nothing leaves everything as it was. */
  async #refreshed() {
    await this.#stored(() => this.#refresh());
    if (this.#storageFault) this.lastRefresh = "storage";
    this.#changed();
    return this.lastRefresh ?? "offline";
  }

  async #refresh() {
    this.endLease(clock());
    await Promise.all([askCity(this.store), this.enrolment === null ? null : this.#askOffice()]);
    const open = this.enrolment?.state === "active" && this.vault.state === "open";
    const told = await sync({
      store: this.store, now: clock(), vault: open ? this.#vault : null, sign: open ? (path) => this.identity.sign(path) : null,
    });
    this.lastRefresh = this.enrolment?.state === "locked" ? "locked" : outcomeOf(told);
    await this.reload();
    if (told.code === "STORAGE") throw new Refusal("STORAGE");
  }

  /** How the office sees the device now; without network as it saw it last. Locked, it loses key and plate list first. */
  async #askOffice() {
    try {
      const self = await this.identity.self();
      // What is on the device goes before the screen says so.
      if (self.state !== "active") await this.#withdraw();
      await this.store.put("state", "self", self);
    } catch (fault) {
      if (!(fault instanceof Refusal)) throw fault;
      if (WITHDRAWN.has(String(fault.params["problem"]))) {
        await this.#withdraw();
        await this.store.update("state", "self", (known) => ({ .../** @type {object} */ (known ?? {}), state: "locked" }));
      }
    }
    await this.reload();
  }

  /** Give up key and plate list: this device may not have them, or not any more. */
  async #withdraw() {
    this.#dropPlates();
    if ((await this.#vault.state()) !== "empty") await this.#vault.destroy();
  }

  #dropPlates() {
    if (this.#lists !== null) this.#lists.trust.plateList = null;
  }

  /**
   * What the service says of a card number that was read, in a second or two.
   * @param {string[]} read as delivered
   * @param {import("../core/scanned-cards.js").Symbology | null} symbology
   * @param {number} now seconds
   * @returns {Promise<import("../device/card-lookup.js").CardAnswer>}
   */
  async lookUp(read, symbology, now) {
    const language = this.settings.language === "en" ? "en" : "de";
    const answer = await lookUpCard(this.identity, { read, symbology }, language, now);
    // What the office has against this device is shown as soon as somebody is told.
    if (answer.withdrawn) void this.#stored(() => this.askSelf(), { reads: true });
    return answer;
  }

  /** Ask whether the office has confirmed this device; tells the app where that has changed. */
  async askSelf() {
    const before = this.enrolment?.state;
    await this.#askOffice();
    if (this.enrolment?.state !== before) this.#changed();
  }

  /**
   * @param {string} link of the invitation
   * @throws {Refusal} what `Identity.enrol` throws
   */
  async enrol(link) {
    const at = link.indexOf("#");
    await this.identity.enrol(at < 0 ? link : link.slice(at));
    await this.store.delete("state", "self");
    await this.#askOffice();
  }

  /**
   * Begin a shift with a fresh key from the office, and fetch the plate list.
   * @param {{pin: string} | {passkey: true}} chosen
   * @throws {Refusal} PASSKEY, NO_ANSWER, ANSWER, PIN_FORM
   */
  async beginShift(chosen) {
    const name = this.enrolment?.name || "Stadtpass";
    const wrap = "pin" in chosen ? chosen : { passkey: await passkeyOf(this.store, this.enrolment?.device ?? "", name) };
    // A refresh under way has no key for the new list, and may still end the old lease.
    await this.#refreshing;
    try {
      await this.#vault.begin(await this.#lease(), wrap);
    } catch (refusal) {
      // Perhaps it was deleted in the system's settings: the next try makes another.
      if (refusal instanceof Refusal && refusal.code === "PASSKEY") await this.store.delete("keys", "passkey");
      throw refusal;
    }
    // Each shift chooses its zone; not afterwards, because the screen goes on while the lists are still on their way.
    if (!this.#zoneChosen) await this.change({ zone: null });
    this.#zoneChosen = false;
    await this.reload();
    await this.refresh();
  }

  /** @throws {Refusal} NO_ANSWER, ANSWER; what the office has against this device is known afterwards */
  async #lease() {
    try {
      return await this.identity.lease();
    } catch (refusal) {
      if (refusal instanceof Refusal && refusal.params["problem"]) await this.#askOffice();
      throw refusal;
    }
  }

  /**
   * @param {{pin: string} | {passkey: true}} chosen
   * @throws {Refusal} PIN_WRONG, VAULT_EMPTY, PASSKEY, PIN_FORM
   */
  async unlock(chosen) {
    try {
      if ("pin" in chosen) await this.#vault.openWithPin(chosen.pin);
      else await this.#vault.openWithPasskey();
    } finally {
      await this.reload();
    }
  }

  async lock() {
    this.#vault.close();
    this.#dropPlates();
    this.vault = { ...this.vault, state: "locked" };
    await this.#stored(() => this.reload(), { reads: true });
  }

  /** Store what checks have learnt; a storage that refuses is told by `selfTest`, and the next check tries again. */
  async saveMemory() {
    const lists = this.#lists;
    if (lists?.memory.changed) await this.#stored(() => lists.save());
  }

  /**
   * Where the lease has ended, also while the page slept, the plate list counts no more.
   * @param {number} now seconds
   */
  endLease(now) {
    const { until } = this.vault;
    if (until === null || now < until) return;
    this.#zoneChosen = false;
    this.#dropPlates();
    this.vault = { ...this.vault, state: "expired", until: null };
    void this.#stored(() => this.reload(), { reads: true }).then(() => this.#changed());
  }

  /**
   * @param {() => Promise<void>} work that no verdict waits for
   * @param {{reads?: boolean}} [options] reads: it shows nothing about writing
   */
  async #stored(work, { reads = false } = {}) {
    try {
      await work();
      if (!reads) this.#storageFault = false;
    } catch (fault) {
      if (!(fault instanceof Refusal)) throw fault;
      this.#storageFault = true;
    }
  }

  /**
   * A check is over: signal it, count it, and note it if the person wants a log.
   * @param {import("../core/verdict.js").Verdict} verdict
   */
  async record(verdict) {
    signal(verdict.verdict, this.settings);
    await this.#stored(() => this.traces.note(verdict, this.settings.logDays));
  }

  /** @param {Partial<Settings>} changes */
  async change(changes) {
    const { desk = this.settings.desk, ...others } = changes;
    const running = this.vault.state === "open" || this.vault.state === "locked";
    if (changes.zone !== undefined) this.#zoneChosen = changes.zone !== null && !running;
    // It holds at once, and also where it cannot be stored.
    this.settings = { ...this.settings, ...changes };
    await this.#stored(async () => {
      if (changes.desk !== undefined) await this.store.put("state", "desk", desk);
      this.settings = { ...(await changeSettings(this.store, others)), desk };
      if (changes.logDays !== undefined) await this.traces.trim(this.settings.logDays);
    });
  }

  /** Forget everything, keys as well. */
  async wipe() {
    this.#vault.close();
    await this.store.wipe();
    forgetCopy();
  }

  /** The one decoder, started when it is first needed and again after a failed start. */
  decoder() {
    this.#decoder ??= Decoder.start().catch((fault) => {
      this.#decoder = null;
      throw fault;
    });
    return this.#decoder;
  }

  async selfTest() {
    const warden = this.enrolment?.state === "active" && this.role === "warden";
    const decoder = async () => void (await this.decoder());
    const probes = { decoder, camera: probeCamera };
    /** @type {import("../device/readiness.js").Readiness} */
    const refuses = { check: "storage", ok: "no", detail: "STORAGE_REFUSES" };
    /** @type {import("../device/readiness.js").Readiness[]} */
    let found = [refuses];
    await this.#stored(async () => {
      found = await selfTest({ store: this.store, vault: warden ? this.#vault : null, now: clock(), probes });
    }, { reads: true });
    return this.#storageFault ? found.map((one) => (one.check === "storage" ? refuses : one)) : found;
  }

  /** @param {(candidates: string[]) => void} take what a hand scanner has typed, in several spellings */
  onScanned(take) {
    this.#wedge.addEventListener("input", (event) => take(/** @type {CustomEvent<{candidates: string[]}>} */ (event).detail.candidates));
    this.#wedge.attach(window);
  }

  /** @param {() => void} changed called after lists, enrolment or vault have changed by themselves */
  onChange(changed) {
    this.#changed = changed;
  }

  /** Refresh now, when the network comes back, and every quarter of an hour. */
  keepFresh() {
    keepInSync(() => this.refresh());
  }
}

/**
 * @returns {Promise<Device>}
 * @throws {Refusal} STORAGE
 */
export async function openDevice() {
  const store = await openStore();
  const settings = { ...(await readSettings(store)), desk: (await store.get("state", "desk")) === true };
  const device = new Device(store, settings);
  // The first code is worth having its reader started beside everything else; a fault shows where it is needed.
  device.decoder().catch(() => undefined);
  await device.reload();
  device.vault.offered = await passkeysOffered();
  await device.traces.trim(settings.logDays);
  return device;
}
