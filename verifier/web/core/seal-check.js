// @ts-check
/** From the text of a code to a verdict. Never throws for anything the text can hold; the first reason that applies wins. */

import { berlinDay, clockText } from "./berlin.js";
import { verifySign1 } from "./cose.js";
import { Refusal } from "./errors.js";
import { isFresh, ROTATING_PREFIX, splitRotating } from "./rotating.js";
import { readSeal, readToken } from "./seal.js";
import { isInSeason, seasonText } from "./seasons.js";
import { isExpired, isStale } from "./signed-list.js";
import { STATUS_REASONS, verdictOf } from "./verdict.js";

/** @typedef {import("./trust.js").Trust} Trust */
/** @typedef {import("./seal.js").ReadSeal} ReadSeal */
/** @typedef {import("./verdict.js").Verdict} Verdict */
/** @typedef {import("./verdict.js").Reason} Reason */
/** @typedef {import("./rotating.js").RotatingCode} RotatingCode */

/**
 * What the person checking has chosen; ``tolerance`` is how far a clock may be behind, in seconds. ``merged`` are the codes
 * of zones that were merged into ``zone``: their permits run on in it.
 * @typedef {object} CheckSettings
 * @property {string | null} [zone]
 * @property {readonly string[]} [merged]
 * @property {string | null} [typeId]
 * @property {number} [tolerance]
 */

export const TOLERANCE = 120;

/**
 * @param {string} text
 * @param {Trust} trust
 * @param {number} now seconds
 * @param {CheckSettings} [settings]
 * @returns {Promise<Verdict>}
 */
export async function checkSeal(text, trust, now, settings = {}) {
  /** @type {RotatingCode | null} */
  let code = null;
  let read;
  try {
    code = text.startsWith(ROTATING_PREFIX) ? splitRotating(text) : null;
    read = code === null ? readSeal(text) : readToken(code.token);
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    return verdictOf(fault.code === "NOT_A_SEAL" ? "NOT_A_SEAL" : "MALFORMED", now, { test: trust.test });
  }
  return new SealCheck(read, code, trust, now, settings).verdict();
}

/** One check under way: what has been found besides the reason. */
class SealCheck {
  /** @type {Partial<Verdict>} */
  #found;
  #read;
  #code;
  #trust;
  #now;
  #settings;

  /**
   * @param {ReadSeal} read
   * @param {RotatingCode | null} code
   * @param {Trust} trust
   * @param {number} now
   * @param {CheckSettings} settings
   */
  constructor(read, code, trust, now, settings) {
    this.#read = read;
    this.#code = code;
    this.#trust = trust;
    this.#now = now;
    this.#settings = settings;
    this.#found = { test: trust.test, freshness: code === null ? "none" : "not_checked" };
  }

  /** @returns {Promise<Verdict>} */
  async verdict() {
    return verdictOf(await this.#reason(), this.#now, this.#found);
  }

  /** @returns {Promise<Reason>} */
  async #reason() {
    const { message, content } = this.#read;
    const [trust, now, found] = [this.#trust, this.#now, this.#found];
    const { bundle } = trust;
    if (bundle === null || isExpired(bundle.frame, now)) return "NO_TRUST";
    const key = trust.sealKey(message.kid);
    const bundleStale = isStale(bundle.frame, now);
    if (key === null || content.issuedAt < key.notBefore || content.issuedAt >= key.notAfter) {
      if (bundleStale) found.verdict = "GREY";
      return "UNKNOWN_KEY";
    }
    const genuine = await this.#isSignedBy(key.publicKey);
    const declared = bundle.types.get(content.typeCode);
    if (genuine) this.#show(declared);
    if (key.state === "revoked") return "KEY_REVOKED";
    if (key.test && !bundle.test) return "TEST_KEY";
    if (!genuine) return "FORGED";
    if (declared === undefined || !key.passTypes.has(content.typeCode)) return "WRONG_TYPE";
    const { typeId = null, tolerance = TOLERANCE } = this.#settings;
    if (typeId !== null && declared.id !== typeId) return "WRONG_TYPE";
    let list = await trust.statusList(content.statusList);
    // Only lists and bundle say what time it is: one seal made by a fast clock must not make a device useless.
    if (now < trust.newestTime - tolerance) {
      found.params = { clock: clockText(now) };
      return "CLOCK_WRONG";
    }
    if (this.#code !== null) found.freshness = await this.#freshness(this.#code, tolerance);
    if (list !== null) found.listIssuedAt = list.frame.issuedAt;
    const entry = list?.at(content.statusIndex) ?? null;
    const sequence = entry === null ? -1 : (list?.frame.sequence ?? -1);
    if (entry === null) list = null;
    const reason = STATUS_REASONS.get(this.#status(entry, sequence) ?? -1);
    if (reason !== undefined) return reason;
    if (now >= content.expires) return "EXPIRED";
    if (now < content.notBefore) return "NOT_YET_VALID";
    const indexExpired = trust.index === null || isExpired(trust.index.frame, now);
    if (list === null || indexExpired || isExpired(list.frame, now)) return "NO_LIST";
    if (isStale(list.frame, now)) return "STALE_LIST";
    if (bundleStale) {
      found.listIssuedAt = bundle.frame.issuedAt;
      return "STALE_LIST";
    }
    return this.#circumstances();
  }

  /** @param {import("./cose.js").PublicKey} key */
  async #isSignedBy(key) {
    try {
      await verifySign1(this.#read.message, key);
      return true;
    } catch (fault) {
      if (fault instanceof Refusal) return false;
      throw fault;
    }
  }

  /**
   * Take over what the genuine seal says.
   * @param {import("./bundle.js").BundleType | undefined} declared
   */
  #show(declared) {
    const { content } = this.#read;
    Object.assign(this.#found, {
      typeId: declared?.id ?? null,
      number: content.number,
      plates: content.plates.map((one) => one.canonical),
      zone: content.zone,
      cardNumber: content.cardNumber,
      organisation: content.organisation,
      person: content.person,
      validFrom: berlinDay(content.notBefore),
      validUntil: berlinDay(content.expires - 1),
      // A pass without a plate is in no plate list, so its print has to lie in the car whatever the city allows.
      paperRequired: Boolean(declared?.paperRequired || (declared?.paperWithoutPlate && !content.plates.length)),
    });
  }

  /** @returns {Reason} */
  #circumstances() {
    const { content } = this.#read;
    if (content.zone !== null && !holdsIn(this.#settings, content.zone)) return "OTHER_ZONE";
    const today = berlinDay(this.#now);
    for (const [place, season] of content.seasons.entries()) {
      if (season !== null && !isInSeason(season, today)) {
        this.#found.params = { plate: content.plates[place]?.canonical ?? "", season: seasonText(season) };
        return "OUT_OF_SEASON";
      }
    }
    return this.#found.freshness === "stale" ? "NOT_FRESH" : "VALID";
  }

  /**
   * The entry's status, or an invalid one seen in a newer list than the one at hand.
   * @param {number | null} status
   * @param {number} sequence
   */
  #status(status, sequence) {
    const { statusList, statusIndex } = this.#read.content;
    const { memory } = this.#trust;
    if (status !== null) memory.rememberStatus(statusList, statusIndex, status, sequence);
    const seen = memory.seenStatus(statusList, statusIndex);
    return seen !== null && seen.sequence >= sequence ? seen.status : status;
  }

  /**
   * @param {RotatingCode} code
   * @param {number} tolerance
   * @returns {Promise<import("./verdict.js").Freshness>}
   */
  async #freshness(code, tolerance) {
    const plates = this.#trust.plateList;
    if (plates === null || !plates.epochKeys.length || isExpired(plates.frame, this.#now)) return "not_checked";
    for (const key of plates.epochKeys) {
      if (await isFresh(code, key, this.#read.content.number, this.#now, tolerance)) return "fresh";
    }
    return "stale";
  }
}

/**
 * Whether a permit of ``code`` holds where it is checked: in the zone asked for (none: anywhere), or merged into that.
 * @param {CheckSettings} settings
 * @param {string} code
 */
export function holdsIn({ zone = null, merged = [] }, code) {
  return zone === null || sameZone(zone, code) || merged.some((one) => sameZone(one, code));
}

/**
 * Whether the zone code ``asked`` for is the signed ``zone``, letter case apart.
 * @param {string} asked
 * @param {string} zone
 */
function sameZone(asked, zone) {
  return folded(zone) === folded(asked.normalize("NFC"));
}

/**
 * Zone codes are Latin letters and digits; of those only the sharp s folds to something longer.
 * @param {string} code
 */
function folded(code) {
  return code.toLowerCase().replaceAll("ß", "ss");
}
