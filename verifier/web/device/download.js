// @ts-check
/** Fetching one published file: nothing is followed elsewhere, read beyond its bound, or waited for without end. */

import { Refusal } from "../core/errors.js";
import { joined } from "../core/bytes.js";

const LONGEST_TAG = 200;
const MILLISECONDS = 20_000;
const NOT_MODIFIED = 304;

/** The service's address: this folder is two below it, ``check/device/``. */
export const BASE = new URL("../../", import.meta.url);

/** @typedef {(url: URL, init: RequestInit) => Promise<Response>} Fetch */

/**
 * What came; ``data`` null where the server has the same still. ``serverTime`` is its clock in seconds, null without one.
 * @typedef {object} Download
 * @property {Uint8Array | null} data
 * @property {string | null} etag
 * @property {number | null} serverTime
 */

/**
 * @param {Fetch} ask
 * @param {string} path below the service's address
 * @param {number} longest bytes
 * @param {string | null} etag of what is here already
 * @param {Record<string, string>} [headers]
 * @param {number} [milliseconds] how long it may take altogether
 * @returns {Promise<Download>}
 * @throws {Refusal} NO_ANSWER; ANSWER with ``status`` and, of a problem, its ``code``; TOO_LARGE
 */
export async function download(ask, path, longest, etag, headers = {}, milliseconds = MILLISECONDS) {
  /** @type {Record<string, string>} */
  const sent = etag === null ? headers : { ...headers, "If-None-Match": etag };
  const answer = await request(ask, path, { headers: sent, signal: AbortSignal.timeout(milliseconds) });
  const serverTime = clockOf(answer);
  if (answer.status === NOT_MODIFIED && etag !== null) return { data: null, etag, serverTime };
  if (answer.status !== 200) throw await answerRefusal(answer);
  const data = await bounded(answer, longest);
  const tag = answer.headers.get("ETag");
  return { data, etag: tag !== null && tag.length <= LONGEST_TAG ? tag : null, serverTime };
}

/**
 * @param {Fetch} ask
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 * @throws {Refusal} NO_ANSWER
 */
export async function request(ask, path, init) {
  try {
    return await ask(new URL(path, BASE), {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(MILLISECONDS),
      ...init,
    });
  } catch {
    throw new Refusal("NO_ANSWER");
  }
}

/**
 * @param {Response} answer
 * @param {number} longest
 * @returns {Promise<Uint8Array>}
 * @throws {Refusal} NO_ANSWER, TOO_LARGE
 */
export async function bounded(answer, longest) {
  const reader = answer.body?.getReader();
  /** @type {Uint8Array[]} */
  const pieces = [];
  let length = 0;
  while (reader !== undefined) {
    let piece;
    try {
      piece = await reader.read();
    } catch {
      throw new Refusal("NO_ANSWER");
    }
    if (piece.done) break;
    length += piece.value.length;
    if (length > longest) {
      await reader.cancel().catch(() => undefined);
      throw new Refusal("TOO_LARGE");
    }
    pieces.push(piece.value);
  }
  return joined(...pieces);
}

/**
 * @param {Response} answer
 * @returns {Promise<Refusal>} ANSWER with the status and the problem's code, "" for none
 */
export async function answerRefusal(answer) {
  let code = "";
  try {
    const problem = JSON.parse(new TextDecoder().decode(await bounded(answer, 4096)));
    if (/^[A-Z_]{1,40}$/.test(problem?.code)) code = problem.code;
  } catch {
    // No problem document: the status has to do.
  }
  return new Refusal("ANSWER", { status: answer.status, problem: code });
}

/**
 * @param {Response} answer
 * @returns {number | null} seconds
 */
function clockOf(answer) {
  const at = Date.parse(answer.headers.get("Date") ?? "");
  return Number.isNaN(at) ? null : Math.floor(at / 1000);
}
