// @ts-check
/**
 * The device's own key and name: enrolled by the invitation's link, and signing what only enrolled devices may ask for (RFC
 * 9421, one fixed profile). The private key cannot be exported, not even by this app.
 */

import { base64, base64Url, bytesOf, sha256 } from "../core/bytes.js";
import { Refusal } from "../core/errors.js";
import { memoryOf, rootKidOf } from "./device-memory.js";
import { answerRefusal, BASE, bounded, request } from "./download.js";
import { SYNC_LOCK } from "./sync.js";

const LINK = /^#?enrol=([A-Za-z0-9_-]{22})\.([0-9a-f]{16})$/;
const DEVICE = /^[0-9a-f]{32}$/;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };
const LONGEST_ANSWER = 64 * 1024;

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./download.js").Fetch} Fetch */
/**
 * ``merged`` are the codes of zones that were merged into this one: their permits run on in it.
 * @typedef {{code: string, name: string, merged?: string[]}} Zone
 */

/**
 * @typedef {object} DeviceState
 * @property {"pending" | "active" | "locked"} state
 * @property {string} name
 * @property {"warden" | "librarian"} role
 * @property {Zone[]} zones
 * @property {string} city
 * @property {string[]} cardSchemes how the library numbers its cards; none where it has not said
 */

/**
 * @typedef {object} Lease
 * @property {string} lease id
 * @property {Uint8Array<ArrayBuffer>} key 32 bytes; whoever has used it overwrites it
 * @property {number} issuedAt seconds, by the server
 * @property {number} notAfter seconds
 */

/** This device, enrolled or not. */
export class Identity {
  /**
   * @param {Store} store
   * @param {() => number} clock seconds
   * @param {Fetch} [ask]
   */
  constructor(store, clock, ask = (url, init) => fetch(url, init)) {
    this.store = store;
    this.clock = clock;
    this.ask = ask;
  }

  /** @returns {Promise<{id: string, checkCode: string} | null>} null before enrolment */
  async device() {
    const { id, checkCode } = /** @type {Partial<Record<string, unknown>>} */ ((await this.store.get("state", "device")) ?? {});
    return typeof id === "string" && typeof checkCode === "string" ? { id, checkCode } : null;
  }

  /**
   * Take up an invitation with a new key; the check code is compared by whoever made the invitation.
   * @param {string} fragment of the invitation's link, ``#enrol=…``
   * @returns {Promise<{device: string, checkCode: string}>}
   * @throws {Refusal} ENROL_LINK, NO_ANSWER, ANSWER, ENROL_CHECK where the server computed another check code, STORAGE;
   *   OTHER_ROOT where this device trusts a root that the invitation does not name
   */
  async enrol(fragment) {
    const [, code, rootKid] = LINK.exec(fragment) ?? [];
    if (code === undefined || rootKid === undefined) throw new Refusal("ENROL_LINK");
    // A sync must not trust a root on first use between the comparison and the note of the invitation's root.
    return await navigator.locks.request(SYNC_LOCK, async () => await this.#enrol(code, rootKid));
  }

  /**
   * @param {string} code
   * @param {string} rootKid hex
   * @returns {Promise<{device: string, checkCode: string}>}
   */
  async #enrol(code, rootKid) {
    const pinned = memoryOf(await this.store.get("state", "memory"))?.rootSpki ?? null;
    if (pinned !== null && (await rootKidOf(pinned)) !== rootKid) throw new Refusal("OTHER_ROOT");
    const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
    const publicKey = base64Url(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
    const signature = base64Url(await signed(pair.privateKey, `stadtpass-enrol\n${code}\n${publicKey}`));
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ code, public_key: publicKey, signature });
    const told = await this.#json("check/devices", { method: "POST", headers, body }, 201);
    const checkCode = await checkCodeOf(code, publicKey);
    const id = told["device"];
    if (typeof id !== "string" || !DEVICE.test(id)) throw new Refusal("ANSWER", { status: 201, problem: "" });
    if (told["check_code"] !== checkCode) throw new Refusal("ENROL_CHECK");
    await this.store.write([
      { part: "keys", key: "device", value: pair.privateKey },
      { part: "state", key: "device", value: { id, checkCode } },
      { part: "state", key: "rootKid", value: rootKid },
    ]);
    return { device: id, checkCode };
  }

  /**
   * How the office sees this device.
   * @returns {Promise<DeviceState>}
   * @throws {Refusal} NOT_ENROLLED, NO_ANSWER, ANSWER (``problem`` has the server's code)
   */
  async self() {
    const told = await this.#json("check/devices/self", { headers: await this.sign("check/devices/self") }, 200);
    const { state, name, role, zones, city } = told;
    if (state !== "pending" && state !== "active" && state !== "locked") throw unreadable();
    if ((role !== "warden" && role !== "librarian") || typeof name !== "string" || typeof city !== "string") throw unreadable();
    if (!Array.isArray(zones)) throw unreadable();
    const named = zones.map(({ code, name, merged }) => ({
      code: String(code), name: String(name), merged: Array.isArray(merged) ? merged.map(String) : [],
    }));
    const schemes = told["card_schemes"];
    return { state, name, role, zones: named, city, cardSchemes: Array.isArray(schemes) ? schemes.map(String) : [] };
  }

  /**
   * The key for this shift's plate list.
   * @returns {Promise<Lease>}
   * @throws {Refusal} NOT_ENROLLED, NO_ANSWER, ANSWER
   */
  async lease() {
    const headers = await this.sign("check/leases", "POST");
    const told = await this.#json("check/leases", { method: "POST", headers }, 201);
    const { lease, key, issued_at: issuedAt, not_after: notAfter } = told;
    if (typeof lease !== "string" || typeof key !== "string" || !/^[A-Za-z0-9_-]{43}$/.test(key)) throw unreadable();
    if (!Number.isSafeInteger(issuedAt) || !Number.isSafeInteger(notAfter)) throw unreadable();
    const bytes = Uint8Array.from(atob(key.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    return { lease, key: bytes, issuedAt: Number(issuedAt), notAfter: Number(notAfter) };
  }

  /**
   * What the service says of a card number; librarians' devices only.
   * @param {object} question
   * @param {string} language of the answer, BCP 47
   * @param {number} milliseconds how long it may take altogether
   * @returns {Promise<Record<string, unknown>>}
   * @throws {Refusal} NOT_ENROLLED, NO_ANSWER, ANSWER (``problem`` has the server's code)
   */
  async askCard(question, language, milliseconds) {
    const signal = AbortSignal.timeout(milliseconds);
    const body = JSON.stringify(question);
    const headers = { ...(await this.sign("check/cards", "POST", body)), "Content-Type": "application/json", "Accept-Language": language };
    return await this.#json("check/cards", { method: "POST", headers, body, signal }, 200);
  }

  /**
   * The headers that make a request this device's.
   * @param {string} path below the service's address
   * @param {"GET" | "POST"} [method]
   * @param {string} [body] "" for none
   * @returns {Promise<Record<string, string>>}
   * @throws {Refusal} NOT_ENROLLED
   */
  async sign(path, method = "GET", body = "") {
    const device = await this.device();
    const key = await this.store.get("keys", "device");
    if (device === null || !(key instanceof CryptoKey)) throw new Refusal("NOT_ENROLLED");
    const nonce = base64Url(crypto.getRandomValues(new Uint8Array(16)));
    /** @type {Record<string, string>} */
    const digest = body === "" ? {} : { "Content-Digest": `sha-256=:${base64(await sha256(bytesOf(body)))}:` };
    const covered = body === "" ? "" : ' "content-digest"';
    const params =
      `("@method" "@path"${covered});created=${this.clock()};nonce="${nonce}";keyid="${device.id}"` +
      ';alg="ecdsa-p256-sha256";tag="stadtpass-device"';
    const lines = [`"@method": ${method}`, `"@path": ${new URL(path, BASE).pathname}`];
    if (body !== "") lines.push(`"content-digest": ${digest["Content-Digest"]}`);
    const base = [...lines, `"@signature-params": ${params}`].join("\n");
    return {
      ...digest,
      "Signature-Input": `stadtpass=${params}`,
      Signature: `stadtpass=:${base64(await signed(key, base))}:`,
    };
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @param {number} status expected
   * @returns {Promise<Record<string, unknown>>}
   */
  async #json(path, init, status) {
    const answer = await request(this.ask, path, init);
    if (answer.status !== status) throw await answerRefusal(answer);
    try {
      const told = JSON.parse(new TextDecoder().decode(await bounded(answer, LONGEST_ANSWER)));
      if (typeof told === "object" && told !== null) return told;
    } catch (fault) {
      if (fault instanceof Refusal) throw fault;
    }
    throw unreadable();
  }
}

/**
 * The six digits that device and office compare: the first 8 bytes of SHA-256 over a label, code and key, modulo a million.
 * @param {string} code
 * @param {string} publicKey base64url of the point
 * @returns {Promise<string>} ``123 456``
 */
async function checkCodeOf(code, publicKey) {
  const digest = await sha256(bytesOf(`stadtpass-check\n${code}\n${publicKey}`));
  const number = new DataView(digest.buffer).getBigUint64(0) % 1_000_000n;
  const digits = String(number).padStart(6, "0");
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
}

/**
 * @param {CryptoKey} key
 * @param {string} text
 */
async function signed(key, text) {
  return new Uint8Array(await crypto.subtle.sign(SIGNING, key, new TextEncoder().encode(text)));
}

function unreadable() {
  return new Refusal("ANSWER", { status: 0, problem: "" });
}
