// @ts-check
/**
 * The signed plate list of enrolled devices: lines ``key TAB first TAB last TAB zone TAB season TAB status``, sorted, one
 * line feed before and after each. A look-up is one search in the text: no entry is unpacked that was not asked for.
 */

import { textOf } from "./bytes.js";
import { verifySign1 } from "./cose.js";
import { Refusal } from "./errors.js";
import { isDay } from "./berlin.js";
import { parseSeason } from "./seasons.js";
import { readList } from "./signed-list.js";

export const PLATE_LIST_MAX_BYTES = 64 * 1024 * 1024;
const TYP = "application/stadtpass-plates+cwt";
const PLATES = -65541;
const EPOCH_KEYS = -65542;

/**
 * One plate of one permit; days are Berlin days ``YYYY-MM-DD``, inclusive.
 * @typedef {object} PlateEntry
 * @property {string} key
 * @property {string} first
 * @property {string} last
 * @property {string} zone
 * @property {import("./seasons.js").Season | null} season
 * @property {number} status
 */

/** A verified plate list. */
export class PlateList {
  #table;

  /**
   * @param {import("./signed-list.js").Frame} frame
   * @param {string} table
   * @param {Uint8Array[]} epochKeys with which rotating codes are checked; secrets
   */
  constructor(frame, table, epochKeys) {
    this.frame = frame;
    this.epochKeys = epochKeys;
    this.#table = table;
  }

  /**
   * @param {string} key a plate's compare key
   * @returns {PlateEntry[]} all entries of the plate
   * @throws {Refusal} PLATE_LIST_FORM for a line that is none
   */
  find(key) {
    const wanted = `\n${key}\t`;
    const entries = [];
    let start = this.#table.indexOf(wanted);
    while (start >= 0) {
      const end = this.#table.indexOf("\n", start + 1);
      entries.push(entryOf(this.#table.slice(start + 1, end)));
      start = this.#table.indexOf(wanted, end);
    }
    return entries;
  }
}

/**
 * Read a plate list without checking its signature.
 * @param {Uint8Array} data
 * @throws {Refusal} LIST_MALFORMED
 */
export function readPlateList(data) {
  return readList(data, TYP, PLATE_LIST_MAX_BYTES);
}

/**
 * @param {import("./signed-list.js").UnverifiedList} unverified
 * @param {import("./cose.js").PublicKey} key
 * @returns {Promise<PlateList>}
 * @throws {Refusal} SIGNATURE, PLATE_LIST_FORM
 */
export async function verifiedPlateList(unverified, key) {
  await verifySign1(unverified.message, key);
  const bytes = unverified.claims.get(PLATES);
  const epochs = unverified.claims.get(EPOCH_KEYS);
  if (!(bytes instanceof Uint8Array) || !(epochs instanceof Map)) throw new Refusal("PLATE_LIST_FORM");
  let table;
  try {
    table = textOf(bytes);
  } catch {
    throw new Refusal("PLATE_LIST_FORM");
  }
  if (!table.startsWith("\n") || !table.endsWith("\n")) throw new Refusal("PLATE_LIST_FORM");
  const epochKeys = [];
  for (const [number, epochKey] of epochs) {
    if (typeof number !== "number" || !(epochKey instanceof Uint8Array)) throw new Refusal("PLATE_LIST_FORM");
    epochKeys.push(epochKey);
  }
  return new PlateList(unverified.frame, table, epochKeys);
}

/**
 * @param {string} line
 * @returns {PlateEntry}
 */
function entryOf(line) {
  const cells = line.split("\t");
  const [key = "", first = "", last = "", zone = "", season = "", status = ""] = cells;
  if (cells.length !== 6 || !isDay(first) || !isDay(last) || last < first || !/^[0-3]$/.test(status)) {
    throw new Refusal("PLATE_LIST_FORM");
  }
  try {
    return { key, first, last, zone, season: season ? parseSeason(season) : null, status: Number(status) };
  } catch {
    throw new Refusal("PLATE_LIST_FORM");
  }
}
