// @ts-check
/**
 * The seal SP1 (docs/sp1.md), to read: one revision of a pass has one accepted text. Nothing in it is to be believed
 * before the signature has been checked.
 */

import { decodeBase45 } from "./base45.js";
import { decode } from "./cbor.js";
import { readSign1 } from "./cose.js";
import { Refusal } from "./errors.js";
import { plateFromCanonical } from "./plates.js";
import { season } from "./seasons.js";

export const PREFIX = "SP1:";
const MAX_BYTES = 480;
export const MAX_TEXT = PREFIX.length + Math.floor((MAX_BYTES * 3 + 1) / 2);

const BODY = -65537;
// Who somebody is: only in proofs of a person.
const PERSON = 169;
const FULL_NAME = 4;
const BIRTH_DATE = 8;
const ADDRESS = 10;
const MAX_NAME = 200;
const MAX_LINE = 120;
const MAX_LINES = 6;
const EXPIRES = 4;
const NOT_BEFORE = 5;
const ISSUED_AT = 6;
const TYPE = 0;
const NUMBER = 1;
const PLATES = 2;
const ZONE = 3;
const SEASONS = 4;
const ORGANISATION = 5;
const CARD_NUMBER = 6;
const STATUS = 7;
const MAX_PLATES = 8;
const MAX_ZONE = 12;
const MAX_TEXT_VALUE = 120;
const MAX_CARD_NUMBER = 40;
// 2200-01-01, as in the issuer.
const MAX_TIME = 7_258_118_400;

/** @typedef {import("./cbor.js").Value} Value */

/**
 * Whom a proof is about; the birth date is ``YYYY-MM-DD``.
 * @typedef {object} SealedPerson
 * @property {string} fullName
 * @property {string} birthDate
 * @property {string[]} address its lines
 */

/**
 * What a seal says. Times are seconds since 1970; ``expires`` is the first invalid second.
 * @typedef {object} SealContent
 * @property {number} typeCode
 * @property {string} number
 * @property {number} issuedAt
 * @property {number} notBefore
 * @property {number} expires
 * @property {number} statusList
 * @property {number} statusIndex
 * @property {import("./plates.js").Plate[]} plates
 * @property {(import("./seasons.js").Season | null)[]} seasons parallel to ``plates``
 * @property {string | null} zone
 * @property {string | null} organisation
 * @property {string | null} cardNumber
 * @property {SealedPerson | null} person
 */

/** @typedef {{message: import("./cose.js").Sign1, content: SealContent}} ReadSeal */

/**
 * @param {string} text
 * @returns {ReadSeal}
 * @throws {Refusal} NOT_A_SEAL without the prefix, SEAL_MALFORMED for what no issuer would have written
 */
export function readSeal(text) {
  if (!text.startsWith(PREFIX)) throw new Refusal("NOT_A_SEAL");
  if (text.length > MAX_TEXT) throw malformed("too long");
  return readToken(text.slice(PREFIX.length));
}

/**
 * @param {string} encoded the base45 part of a seal
 * @returns {ReadSeal}
 * @throws {Refusal} SEAL_MALFORMED
 */
export function readToken(encoded) {
  if (encoded.length > MAX_TEXT) throw malformed("too long");
  try {
    const message = readSign1(decodeBase45(encoded), MAX_BYTES);
    if (message.typ !== null) throw malformed("unknown header parameter");
    return { message, content: contentOf(decode(message.payload, MAX_BYTES)) };
  } catch (fault) {
    if (fault instanceof Refusal) throw malformed(String(fault.params["fault"] ?? fault.code));
    throw fault;
  }
}

/**
 * @param {Value} claims
 * @returns {SealContent}
 */
function contentOf(claims) {
  if (!(claims instanceof Map) || claims.size !== (claims.has(PERSON) ? 5 : 4)) throw malformed("not the claims of a seal");
  const body = claims.get(BODY);
  if (!(body instanceof Map)) throw malformed("no body");
  const rest = new Map(body);
  const taken = (/** @type {number} */ key) => {
    const value = rest.get(key);
    rest.delete(key);
    return value;
  };
  const status = taken(STATUS);
  if (!Array.isArray(status) || status.length !== 2) throw malformed("status reference");
  const content = {
    typeCode: integer(taken(TYPE), 1, 0xffff),
    number: passNumber(taken(NUMBER)),
    issuedAt: integer(claims.get(ISSUED_AT), 0, MAX_TIME - 1),
    notBefore: integer(claims.get(NOT_BEFORE), 0, MAX_TIME - 1),
    expires: integer(claims.get(EXPIRES), 0, MAX_TIME - 1),
    statusList: integer(status[0], 0, 0xffff),
    statusIndex: integer(status[1], 0, 0xffffffff),
    ...platesOf(rest.has(PLATES), taken(PLATES), rest),
    zone: rest.has(ZONE) ? text(taken(ZONE), MAX_ZONE) : null,
    organisation: rest.has(ORGANISATION) ? text(taken(ORGANISATION), MAX_TEXT_VALUE) : null,
    cardNumber: rest.has(CARD_NUMBER) ? text(taken(CARD_NUMBER), MAX_CARD_NUMBER) : null,
    person: claims.has(PERSON) ? personOf(claims.get(PERSON)) : null,
  };
  if (content.notBefore >= content.expires) throw malformed("ends before it starts");
  for (const [key, value] of rest) further(key, value);
  return content;
}

/**
 * @param {boolean} present
 * @param {Value | undefined} texts
 * @param {Map<unknown, Value>} rest from which the seasons are taken; without plates they are an unknown key
 */
function platesOf(present, texts, rest) {
  if (!present) return { plates: [], seasons: [] };
  if (!Array.isArray(texts) || texts.length < 1 || texts.length > MAX_PLATES) throw malformed("plates");
  const plates = texts.map((one) => {
    if (typeof one !== "string") throw malformed("plates");
    return plateFromCanonical(one);
  });
  if (!rest.has(SEASONS)) return { plates, seasons: plates.map(() => null) };
  const pairs = rest.get(SEASONS);
  rest.delete(SEASONS);
  if (!Array.isArray(pairs) || pairs.length !== plates.length) throw malformed("seasons");
  const seasons = pairs.map((pair) => {
    if (pair === null) return null;
    if (!Array.isArray(pair) || pair.length !== 2) throw malformed("season");
    const [first, last] = pair;
    if (typeof first !== "number" || typeof last !== "number") throw malformed("season");
    return season(first, last);
  });
  if (seasons.every((one) => one === null)) throw malformed("seasons");
  return { plates, seasons };
}

/**
 * Claim 169 with exactly name, birth date and address.
 * @param {Value | undefined} claim
 * @returns {SealedPerson}
 */
function personOf(claim) {
  if (!(claim instanceof Map) || claim.size !== 3) throw malformed("person");
  const [born, address] = [claim.get(BIRTH_DATE), claim.get(ADDRESS)];
  if (typeof born !== "string" || !/^[12][0-9]{7}$/.test(born) || typeof address !== "string") throw malformed("person");
  const day = `${born.slice(0, 4)}-${born.slice(4, 6)}-${born.slice(6)}`;
  const date = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== day) throw malformed("person");
  const lines = address.split("\n");
  if (lines.length > MAX_LINES) throw malformed("address");
  return {
    fullName: text(claim.get(FULL_NAME), MAX_NAME),
    birthDate: day,
    address: lines.map((line) => text(line, MAX_LINE)),
  };
}

/**
 * @param {Value | undefined} value
 * @param {number} least
 * @param {number} most
 */
function integer(value, least, most) {
  if (typeof value !== "number" || value < least || value > most) throw malformed("integer out of range");
  return value;
}

/** @param {Value | undefined} value */
function passNumber(value) {
  if (typeof value !== "string" || !/^[A-Za-z0-9._-]{1,40}$/.test(value)) throw malformed("pass number");
  return value;
}

/**
 * Text that people can read: composed, of bounded length, with no invisible characters.
 * @param {Value | undefined} value
 * @param {number} longest in characters
 */
function text(value, longest) {
  if (typeof value !== "string" || value === "" || [...value].length > longest) throw malformed("text");
  if (value.normalize("NFC") !== value) throw malformed("text is not NFC");
  if (/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(value)) throw malformed("text with invisible characters");
  return value;
}

/**
 * Keys beyond the built-in ones belong to pass types that are data only: any scalar may stand there.
 * @param {unknown} key
 * @param {Value} value
 */
function further(key, value) {
  if (typeof key !== "number" || key < 8 || key > 255) throw malformed("unknown body key");
  if (typeof value === "string") text(value, MAX_TEXT_VALUE);
  else if (typeof value !== "number" && typeof value !== "boolean") throw malformed("body value of an unknown type");
}

/** @param {string} fault */
function malformed(fault) {
  return new Refusal("SEAL_MALFORMED", { fault });
}
