// @ts-check
/**
 * The short log, off unless switched on: time, verdict, reason and the last four characters of the number of checks that
 * were not green; never a plate or a name. It deletes itself after the days that were chosen.
 */

import { berlinTime } from "../core/berlin.js";

const DAY = 86_400;
const MOST = 2000;

/** @typedef {import("./store.js").Store} Store */
/** @typedef {{at: number, verdict: string, reason: string, last4: string}} LogEntry */

/**
 * Note a check that was not green, and delete what is too old.
 * @param {Store} store
 * @param {import("../core/verdict.js").Verdict} verdict
 * @param {number} now seconds
 * @param {number} days of `Settings`; 0 writes nothing
 */
export async function note(store, { verdict, reason, number }, now, days) {
  if (days === 0) return;
  await entries(store, now, days);
  if (verdict === "GREEN") return;
  const last4 = (number ?? "").replace(/[^A-Za-z0-9]/g, "").slice(-4);
  const key = `${String(now).padStart(12, "0")}-${crypto.randomUUID()}`;
  await store.put("log", key, { at: now, verdict, reason, last4 });
}

/**
 * The log, oldest first; what is older than ``days`` is deleted, and with 0 everything. Call it at each start as well.
 * @param {Store} store
 * @param {number} now seconds
 * @param {number} days
 * @returns {Promise<LogEntry[]>}
 */
export async function entries(store, now, days) {
  if (days === 0) {
    await store.clear("log");
    return [];
  }
  const { log } = await store.read("log");
  const known = /** @type {[string, LogEntry][]} */ ([...log]);
  const kept = known.filter(([, { at }]) => at > now - days * DAY).slice(-MOST);
  const keys = new Set(kept.map(([key]) => key));
  const past = known.filter(([key]) => !keys.has(key));
  await store.write(past.map(([key]) => ({ part: "log", key, value: undefined })));
  return kept.map(([, entry]) => entry);
}

/**
 * @param {LogEntry[]} log
 * @param {string[]} titles of the four columns
 * @returns {string} CSV (RFC 4180) that no spreadsheet takes for formulas
 */
export function csv(log, titles) {
  const rows = log.map(({ at, verdict, reason, last4 }) => [berlinTime(at), verdict, reason, last4]);
  return [titles, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** @param {string} text */
function cell(text) {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${plain.replaceAll('"', '""')}"`;
}
