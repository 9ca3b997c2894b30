// @ts-check
/** What is kept of checks: counts of the day, and the short log where somebody wants one. */

import { berlinDay } from "../core/berlin.js";
import * as checkLog from "../device/check-log.js";
import { count, counters } from "../device/day-counters.js";

export class Traces {
  /**
   * @param {import("../device/store.js").Store} store
   * @param {() => number} clock seconds
   */
  constructor(store, clock) {
    this.store = store;
    this.clock = clock;
  }

  /**
   * @param {import("../core/verdict.js").Verdict} verdict
   * @param {number} logDays 0: no log
   * @throws {import("../core/errors.js").Refusal} STORAGE
   */
  async note(verdict, logDays) {
    await count(this.store, verdict.verdict, this.clock());
    await checkLog.note(this.store, verdict, this.clock(), logDays);
  }

  /** Today's checks by colour. @returns {Promise<Record<string, number>>} */
  async counts() {
    const now = this.clock();
    return (await counters(this.store, now)).find(({ day }) => day === berlinDay(now))?.counts ?? {};
  }

  /**
   * @param {number} logDays
   * @param {import("../core/verdict.js").Say} say
   */
  async logCsv(logDays, say) {
    const entries = await checkLog.entries(this.store, this.clock(), logDays);
    return checkLog.csv(entries, ["LOG_TIME", "LOG_VERDICT", "LOG_REASON", "LOG_NUMBER"].map((code) => say(code)));
  }

  /**
   * Delete what is older than ``logDays``.
   * @param {number} logDays
   */
  async trim(logDays) {
    await checkLog.entries(this.store, this.clock(), logDays);
  }

  async clearLog() {
    await this.store.clear("log");
  }
}
