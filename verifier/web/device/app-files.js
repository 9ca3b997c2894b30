// @ts-check
/** The app's own files: which version this is, and whether what the browser keeps for offline use is that version. */

import { hex, sha256 } from "../core/bytes.js";
import { Refusal } from "../core/errors.js";
import { bounded } from "./download.js";

const LONGEST = 8 * 1024 * 1024;
const APP = new URL("../", import.meta.url);

/**
 * ``kept``: "same" for a file kept for offline use as listed, "other" for one with another content.
 * @typedef {{path: string, sha256: string, kept: "same" | "other" | "missing"}} AppFile
 */

/**
 * @returns {Promise<{version: string, files: AppFile[]} | null>} null where the list of files is not to be had
 */
export async function appFiles() {
  const told = await fileList();
  if (told === null) return null;
  const files = [];
  for (const [path, listed] of Object.entries(told.files)) {
    files.push({ path, sha256: listed, kept: await kept(path, listed) });
  }
  return { version: told.version, files };
}

/** @returns {Promise<{version: string, files: Record<string, string>} | null>} */
async function fileList() {
  try {
    const address = new URL("files.json", APP);
    // The kept list is that of the running app; the server's may be of a newer one.
    const answer = (await caches.match(address, { ignoreVary: true })) ?? (await fetch(address));
    if (!answer.ok) return null;
    const told = JSON.parse(new TextDecoder().decode(await bounded(answer, LONGEST)));
    const { version, files } = told ?? {};
    if (typeof version !== "string" || typeof files !== "object" || files === null) return null;
    if (!Object.values(files).every((one) => typeof one === "string" && /^[0-9a-f]{64}$/.test(one))) return null;
    return { version, files };
  } catch {
    return null;
  }
}

/**
 * @param {string} path
 * @param {string} listed SHA-256, hex
 * @returns {Promise<AppFile["kept"]>}
 */
async function kept(path, listed) {
  // The page itself may be kept under the folder's address.
  const names = path === "index.html" ? [path, "./"] : [path];
  for (const name of names) {
    const answer = await caches.match(new URL(name, APP), { ignoreVary: true });
    if (answer === undefined) continue;
    try {
      return hex(await sha256(await bounded(answer, LONGEST))) === listed ? "same" : "other";
    } catch (fault) {
      if (fault instanceof Refusal) return "other";
      throw fault;
    }
  }
  return "missing";
}
