// @ts-check
/** Proof that this browser checks as it should: built-in seals of a city nobody trusts must come out as they always do. */

import { fromBase64, textOf } from "../core/bytes.js";
import { Refusal } from "../core/errors.js";
import { Memory } from "../core/memory.js";
import { checkSeal } from "../core/seal-check.js";
import { loadTrust } from "../core/trust.js";
import { BUNDLE, INDEX, ROOT } from "./trust-files.js";

/** @typedef {{now: number, files: Record<string, string>, seals: Record<string, string>}} Data */

/**
 * Check a good seal, a withdrawn one, and the good one with one character changed.
 * @returns {Promise<string | null>} null when all is well, else which check came out otherwise
 */
export async function failedSelfTest() {
  /** @type {Data} */
  let data;
  try {
    data = await (await fetch(new URL("self-test.json", import.meta.url))).json();
  } catch {
    return "data";
  }
  const { now, files, seals } = data;
  const statusLists = new Map();
  for (const [name, content] of Object.entries(files)) {
    if (name.startsWith("status/")) statusLists.set(parseInt(name.slice("status/".length)), fromBase64(content));
  }
  /** @param {string} name */
  const file = (name) => fromBase64(files[name] ?? "");
  try {
    const given = { rootPem: textOf(file(ROOT)), bundle: file(BUNDLE), index: file(INDEX), statusLists };
    const trust = await loadTrust(given, new Memory());
    for (const [reason, seal] of Object.entries(seals)) {
      if ((await checkSeal(seal, trust, now)).reason !== reason) return reason;
    }
    const changed = await checkSeal(changedSeal(seals["VALID"] ?? ""), trust, now);
    return changed.verdict === "RED" ? null : "FORGED";
  } catch (fault) {
    if (fault instanceof Refusal || fault instanceof TypeError) return fault.name;
    throw fault;
  }
}

/** @param {string} seal */
function changedSeal(seal) {
  const at = seal.length - 8;
  return seal.slice(0, at) + (seal[at] === "0" ? "1" : "0") + seal.slice(at + 1);
}
