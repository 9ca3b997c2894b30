// @ts-check
/**
 * German number plates as structured values, read as people write them. The rules are those of ``passes/plates.py``,
 * fault by fault: UE-MA 123 and UEM-A 123 are two cars, and what can be read in two ways is never guessed.
 */

import { AUTHORITY_SIGNS, DISTRICT_SIGNS } from "./districts.js";
import { Refusal } from "./errors.js";
import { season } from "./seasons.js";

const LONGEST = 8;
const LONGEST_SEASONAL = 7;
const LONGEST_INPUT = 40;
const CANONICAL = /^([A-ZÄÖÜ]{1,3})-([A-Z]{1,2}) ([1-9][0-9]{0,3})([EH]?)$/;
// Space, no-break spaces, thin space; hyphens and dashes, minus; middle dot, dot operator, bullet.
const SEPARATORS = /[ \u00a0\u2009\u202f\u2010-\u2015\u2212\u00b7\u22c5\u2022-]+/g;
const CHARACTER = /^[A-Za-zÄÖÜäöü0-9 ]$/;
const CIVIL = /^([A-ZÄÖÜ]+)(?: ([A-ZÄÖÜ]+))? ?([0-9]+)(?: ?([A-ZÄÖÜ]+))?$/;
const DIPLOMATIC = /^0(?: ?[0-9]+)+[A-Z]?$/;
const AUTHORITY = /^([A-ZÄÖÜ]{1,3}) ?([0-9]+)(?: [0-9]+)+$/;
const SPECIAL_NUMBER = /^(?:0[3-7][0-9]*|[1-9][0-9]*)$/;
// The number or suffix of the plate must come right before a season, else "BD 16-12" would have one.
const SEASON_TAIL = /(?<=[0-9EHeh])(?:[ \u00a0\u2009\u202f]+\(?|\()([0-9]{2})[-/\u2010-\u2015]([0-9]{2})\)?$/;
const LOOKALIKE = new Map([["O", "0"], ["0", "O"], ["I", "1"], ["1", "I"]]);
const CORRECTABLE = new Set([
  "PLATE_FORMAT",
  "PLATE_LETTERS_INVALID",
  "PLATE_DISTRICT_UNKNOWN",
  "PLATE_NUMBER_TOO_LONG",
]);
// Of the script, but not letters of the alphabet by name: ordinal and modifier letters, signs, full-width forms.
const LATIN_ONLY_BY_SCRIPT =
  /[\u00aa\u00ba\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d5c\u1d9b-\u1dbe\u2071\u207f\u212a\u212b\u2132\u214e\u2183\u2c7d\ua770\ua7f2-\ua7f4\ua7f8\ua7f9\uab5c-\uab5f\uab69\uff21-\uff3a\uff41-\uff5a\u{10780}-\u{107ba}]/u;

/**
 * One plate. Equal keys are the same car; the suffix is part of the identity.
 * @typedef {object} Plate
 * @property {string} district
 * @property {string} letters
 * @property {string} number
 * @property {string} suffix
 * @property {string} canonical the one spelling that is signed and shown: ``D-AB 123E``
 * @property {string} key what two spellings share: ``D|AB|123|E``
 */

/** The text can be read as several plates with known districts. */
export class PlateAmbiguous extends Refusal {
  /** @param {Plate[]} suggestions all readings */
  constructor(suggestions) {
    super("PLATE_AMBIGUOUS", { suggestions: suggestions.map((one) => one.canonical).join(", ") });
    this.suggestions = suggestions;
  }
}

/**
 * @param {string} district
 * @param {string} letters
 * @param {string} number
 * @param {string} suffix
 * @returns {Plate}
 * @throws {Refusal} PLATE_FORMAT, PLATE_TOO_LONG
 */
function plate(district, letters, number, suffix) {
  const canonical = `${district}-${letters} ${number}${suffix}`;
  if (!CANONICAL.test(canonical)) throw new Refusal("PLATE_FORMAT");
  const length = district.length + letters.length + number.length + suffix.length;
  if (length > LONGEST) throw new Refusal("PLATE_TOO_LONG", { length, limit: LONGEST });
  return { district, letters, number, suffix, canonical, key: `${district}|${letters}|${number}|${suffix}` };
}

/**
 * The canonical spelling and nothing else, as a seal carries it; districts are not looked up.
 * @param {string} text
 * @returns {Plate}
 * @throws {Refusal} PLATE_FORMAT, PLATE_TOO_LONG
 */
export function plateFromCanonical(text) {
  const [, district = "", letters = "", number = "", suffix = ""] = CANONICAL.exec(text) ?? [];
  return plate(district, letters, number, suffix);
}

/**
 * A plate as a person writes it, with or without a season behind it.
 * @param {string} text
 * @returns {Plate}
 * @throws {Refusal} the code of the first fault found; PlateAmbiguous with the readings
 */
export function parsePlate(text) {
  const { spelling, hasSeason } = splitSeason(text);
  const found = read(spelling);
  const length = found.canonical.length - 2;
  if (hasSeason && length > LONGEST_SEASONAL) {
    throw new Refusal("PLATE_TOO_LONG", { length, limit: LONGEST_SEASONAL });
  }
  return found;
}

/**
 * Put O and 0, I and 1 right by their position, for what was typed at the car.
 * @param {string} text
 * @returns {{text: string, corrected: boolean}} what to parse, and whether that is another spelling
 * @throws {PlateAmbiguous} if several corrections fit
 */
export function correctLookalikes(text) {
  let parts;
  try {
    parts = splitSeason(text);
    read(parts.spelling);
    return { text, corrected: false };
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (!CORRECTABLE.has(refusal.code) || parts === undefined) return { text, corrected: false };
  }
  const characters = [...parts.spelling.toUpperCase()];
  const places = [...characters.keys()].filter((place) => LOOKALIKE.has(characters[place] ?? ""));
  if (places.length > LONGEST) return { text, corrected: false };
  /** @type {Map<string, Plate>} */
  const plates = new Map();
  for (let chosen = 0; chosen < 1 << places.length; chosen++) {
    const other = characters.map((character, place) => {
      const bit = places.indexOf(place);
      return bit >= 0 && (chosen >> bit) & 1 ? (LOOKALIKE.get(character) ?? character) : character;
    });
    try {
      const found = read(other.join(""));
      plates.set(found.key, found);
    } catch (refusal) {
      if (refusal instanceof PlateAmbiguous) for (const one of refusal.suggestions) plates.set(one.key, one);
      else if (!(refusal instanceof Refusal)) throw refusal;
    }
  }
  const [first, ...others] = [...plates.values()];
  if (first === undefined) return { text, corrected: false };
  if (others.length) throw new PlateAmbiguous([first, ...others]);
  return { text: first.canonical + (parts.tail ? ` (${parts.tail})` : ""), corrected: true };
}

/**
 * @param {string} text
 * @returns {{spelling: string, hasSeason: boolean, tail: string}} the plate's spelling; the season as ``04-10``
 */
function splitSeason(text) {
  const length = [...text].length;
  if (length > LONGEST_INPUT) throw new Refusal("PLATE_TOO_LONG", { length, limit: LONGEST });
  const found = SEASON_TAIL.exec(text);
  if (found === null) return { spelling: text, hasSeason: false, tail: "" };
  season(Number(found[1]), Number(found[2]));
  return { spelling: text.slice(0, found.index), hasSeason: true, tail: `${found[1]}-${found[2]}` };
}

/**
 * @param {string} spelling
 * @returns {Plate}
 */
function read(spelling) {
  const plain = plainOf(spelling);
  const found = CIVIL.exec(plain);
  if (found === null) throw uncivil(plain);
  const [, first = "", second, number = "", suffix = ""] = found;
  if (suffix !== "" && suffix !== "E" && suffix !== "H") {
    const both = [...suffix].every((one) => one === "E" || one === "H") && suffix.includes("E") && suffix.includes("H");
    throw new Refusal(both ? "PLATE_SUFFIX_CONFLICT" : "PLATE_FORMAT");
  }
  const readings = second === undefined ? readingsOf(first, number) : [pair(first, second)];
  if (number.length > 4) throw new Refusal("PLATE_NUMBER_TOO_LONG", { number });
  const plates = readings.map(([district, letters]) => plate(district, letters, number, suffix));
  const [only, ...others] = plates;
  if (only === undefined) throw new Refusal("PLATE_FORMAT");
  if (others.length) throw new PlateAmbiguous(plates);
  return only;
}

/**
 * Upper case, composed, with single spaces for separators; only letters that upper-case one to one get there.
 * @param {string} text
 */
function plainOf(text) {
  const composed = text.normalize("NFC").replace(SEPARATORS, " ").replace(/^ +| +$/g, "");
  for (const character of composed) if (!CHARACTER.test(character)) throw badCharacter(character);
  return composed.toUpperCase();
}

/** @param {string} character */
function badCharacter(character) {
  const codePoint = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(character)) return new Refusal("PLATE_CONTROL_CHAR", { code_point: codePoint });
  if (/\p{L}/u.test(character) && /\p{Script=Latin}/u.test(character) && !LATIN_ONLY_BY_SCRIPT.test(character)) {
    return new Refusal("PLATE_LETTERS_INVALID", { letters: character });
  }
  if (/[\p{L}\p{M}\p{N}]/u.test(character)) return new Refusal("PLATE_NON_LATIN", { code_point: codePoint });
  return new Refusal("PLATE_FORMAT");
}

/**
 * Why text without the shape letters, number, suffix is no plate of a resident.
 * @param {string} plain
 */
function uncivil(plain) {
  if (DIPLOMATIC.test(plain)) return new Refusal("PLATE_SPECIAL");
  const [, district = "", number = ""] = AUTHORITY.exec(plain) ?? [];
  // A lone 0 is a mistyped O.
  if (!district || number === "0") return new Refusal("PLATE_FORMAT");
  if (!DISTRICT_SIGNS.has(district)) return new Refusal("PLATE_DISTRICT_UNKNOWN", { district });
  return new Refusal("PLATE_SPECIAL");
}

/**
 * District and letters that the writer kept apart.
 * @param {string} district
 * @param {string} letters
 * @returns {[string, string]}
 */
function pair(district, letters) {
  if (!DISTRICT_SIGNS.has(district)) throw new Refusal("PLATE_DISTRICT_UNKNOWN", { district });
  if (AUTHORITY_SIGNS.has(district)) throw new Refusal("PLATE_SPECIAL");
  if (!areLetters(letters)) throw new Refusal("PLATE_LETTERS_INVALID", { letters });
  return [district, letters];
}

/**
 * All ways to part letters that were written together; at least one, or what is wrong with them is thrown.
 * @param {string} written
 * @param {string} number
 * @returns {[string, string][]}
 */
function readingsOf(written, number) {
  /** @type {[string, string][]} */
  const splits = [1, 2, 3].filter((cut) => cut < written.length).map((cut) => [written.slice(0, cut), written.slice(cut)]);
  const readings = splits.filter(([district, letters]) => isCivil(district) && areLetters(letters));
  if (readings.length) return readings;
  if (DISTRICT_SIGNS.has(written)) {
    // Digits only: an authority, or 03 to 07 for short-term, test, dealer and vintage plates.
    throw new Refusal(SPECIAL_NUMBER.test(number) ? "PLATE_SPECIAL" : "PLATE_FORMAT");
  }
  if (splits.some(([district, letters]) => AUTHORITY_SIGNS.has(district) && areLetters(letters))) {
    throw new Refusal("PLATE_SPECIAL");
  }
  const known = splits.find(([district]) => isCivil(district));
  if (known !== undefined) throw new Refusal("PLATE_LETTERS_INVALID", { letters: known[1] });
  throw new Refusal("PLATE_DISTRICT_UNKNOWN", { district: written });
}

/** @param {string} district */
function isCivil(district) {
  return DISTRICT_SIGNS.has(district) && !AUTHORITY_SIGNS.has(district);
}

/** @param {string} text */
function areLetters(text) {
  return /^[A-Za-z]{1,2}$/.test(text);
}
