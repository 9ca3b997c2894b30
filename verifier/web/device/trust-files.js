// @ts-check
/** The published files by the names they are stored under, and what the core reads of them. */

import { Refusal } from "../core/errors.js";
import { textOf } from "../core/bytes.js";

export const ROOT = "root.pub";
export const BUNDLE = "bundle.cwt";
export const INDEX = "index.cwt";
/** Only ever stored encrypted, see `vault.js`. */
export const PLATES = "plates.cwt";

/**
 * A file with the server's name for this version of it.
 * @typedef {object} StoredFile
 * @property {Uint8Array} data
 * @property {string | null} etag
 */

/**
 * @param {number} number
 * @returns {string}
 */
export function statusName(number) {
  return `status/${number}`;
}

/**
 * @param {unknown} value as stored
 * @returns {StoredFile | null} null for anything else
 */
export function storedFile(value) {
  const { data, etag } = /** @type {Partial<StoredFile>} */ (value ?? {});
  if (!(data instanceof Uint8Array)) return null;
  return { data, etag: typeof etag === "string" ? etag : null };
}

/**
 * @param {Map<string, unknown>} files as stored, or as they came
 * @returns {import("../core/trust.js").TrustFiles}
 */
export function trustFiles(files) {
  /** @type {import("../core/trust.js").TrustFiles} */
  const found = { statusLists: new Map() };
  for (const [name, value] of files) {
    const data = storedFile(value)?.data;
    if (data === undefined) continue;
    if (name === ROOT) found.rootPem = pem(data);
    else if (name === BUNDLE) found.bundle = data;
    else if (name === INDEX) found.index = data;
    else if (/^status\/\d{1,10}$/.test(name)) found.statusLists.set(Number(name.slice("status/".length)), data);
  }
  return found;
}

/**
 * @param {Uint8Array} data
 * @returns {string}
 */
function pem(data) {
  try {
    return textOf(data);
  } catch (fault) {
    if (fault instanceof TypeError || fault instanceof Refusal) return "";
    throw fault;
  }
}
