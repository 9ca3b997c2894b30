// @ts-check
/**
 * What a scanner, a camera or a person at the desk delivers, as the card numbers that it can be: the same answers as
 * `passes/scanned_cards.py`, by the same vectors. A seal, an address or a word is never a card number.
 */

import { SCHEMES, weights31 } from "./card-schemes.js";

const LONGEST = 40;
const LONGEST_DELIVERED = 80;
/** @typedef {"CODABAR" | "CODE_39" | "CODE_128" | "EAN_13" | "ITF" | "QR"} Symbology */
/** A number that may be meant; ``framed``: start and stop characters came with it, so it was read whole. @typedef {{text: string, framed: boolean}} Spelling */
/**
 * What was delivered: a number with its spellings, the likeliest first; half of a code, or two run into each other; or no
 * card number at all.
 * @typedef {{kind: "number" | "misread" | "other", spellings: Spelling[]}} ScannedCard
 */

/** What each symbology can encode. @type {Record<Symbology, RegExp>} */
const ENCODABLE = {
  CODABAR: /^[0-9$:/.+-]+$/,
  CODE_39: /^[0-9A-Z $%+./-]+$/,
  CODE_128: /^[!-~]+$/,
  EAN_13: /^[0-9]{13}$/,
  ITF: /^(?:[0-9]{2})+$/,
  QR: /^[!-~]+$/,
};
/** By the letter of their identifier (ISO/IEC 15424). @type {Map<string, Symbology>} */
const OF_IDENTIFIER = new Map([
  ["A", "CODE_39"], ["C", "CODE_128"], ["E", "EAN_13"], ["F", "CODABAR"], ["I", "ITF"], ["Q", "QR"],
]);
const EDGES = /^[\x00-\x20\x7f]+|[\x00-\x20\x7f]+$/g;
const SIGNS = /^[0-9A-Za-z $%+./:_*-]*$/;
const INSIDE = /[\x00-\x1f\x7f]/;
const ASCII = /^[\x00-\x7f]*$/;
const IDENTIFIER = /^\]([A-Za-z])[0-9A-Za-z]/;
const WORD_AND_COLON = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const CODABAR_FRAME = /^[A-Da-d]([0-9$:/.+-]+)[A-Da-d]$/;
/** They have capital letters only, so a small one is the keyboard's. @type {Set<Symbology | null>} */
const CAPITALS = new Set(["CODABAR", "CODE_39", "EAN_13", "ITF"]);

/**
 * @param {string} text
 * @param {Symbology | null} [symbology] what the reader says it has read; an identifier in the text counts more
 * @returns {ScannedCard}
 */
export function scannedCard(text, symbology = null) {
  if (text.length > LONGEST_DELIVERED) return { kind: "other", spellings: [] };
  const { bare, told } = withoutEnvelope(text);
  const kind = told ?? symbology;
  const codabar = kind === "CODABAR" && CODABAR_FRAME.test(bare);
  if (!ASCII.test(bare) || (WORD_AND_COLON.test(bare) && !codabar)) return { kind: "other", spellings: [] };
  if (bare === "" || INSIDE.test(bare)) return { kind: "misread", spellings: [] };
  if (!SIGNS.test(bare)) return { kind: "other", spellings: [] };
  /** @type {Map<string, Spelling>} */
  const found = new Map();
  for (const one of spellingsOf(bare, kind)) if (canBe(one.text, kind) && !found.has(one.text)) found.set(one.text, one);
  if (found.size) return { kind: "number", spellings: [...found.values()] };
  const isWord = !CAPITALS.has(kind) && !/[0-9*]/.test(bare);
  return { kind: isWord || bare.length > LONGEST + 2 ? "other" : "misread", spellings: [] };
}

/**
 * The same for a library that numbers by ``schemes`` alone: a number that fits none of them is misread.
 * @param {ScannedCard} card
 * @param {readonly string[]} schemes none: the library has not said
 * @returns {ScannedCard}
 */
export function ofSchemes(card, schemes) {
  const spellings = card.spellings.filter((one) => fits(one, schemes));
  return card.kind === "number" && !spellings.length ? { kind: "misread", spellings } : { kind: card.kind, spellings };
}

/**
 * Text without blanks and control characters around it and without the identifier of a symbology.
 * @param {string} text
 * @returns {{bare: string, told: Symbology | null}}
 */
export function withoutEnvelope(text) {
  const bare = text.replace(EDGES, "");
  const identifier = IDENTIFIER.exec(bare);
  if (identifier === null) return { bare, told: null };
  return { bare: bare.slice(identifier[0].length).replace(EDGES, ""), told: OF_IDENTIFIER.get(identifier[1] ?? "") ?? null };
}

/**
 * @param {Spelling} spelling
 * @param {readonly string[]} schemes
 */
function fits({ text, framed }, schemes) {
  if (!schemes.length) return true;
  return schemes.some((name) => {
    const scheme = SCHEMES.get(name);
    // Of a scheme that this version does not know it cannot say that a number is wrong.
    return scheme === undefined || (scheme.form.test(text) && (framed || scheme.check(text)));
  });
}

/**
 * @param {string} bare
 * @param {Symbology | null} kind
 * @returns {Spelling[]}
 */
function spellingsOf(bare, kind) {
  if ((kind === null || kind === "CODE_39") && (bare.startsWith("*") || bare.endsWith("*"))) {
    // One asterisk alone is half a code.
    const inner = /^\*([^*]+)\*$/.exec(bare)?.[1];
    return inner === undefined ? [] : typed(inner.replace(/^ +| +$/g, ""), "CODE_39", true);
  }
  const frame = CODABAR_FRAME.exec(bare)?.[1];
  if (kind === "CODABAR") {
    if (frame !== undefined) return [{ text: frame, framed: true }];
    return ENCODABLE.CODABAR.test(bare) ? [{ text: bare, framed: false }] : [];
  }
  const spellings = typed(bare, kind, false);
  return kind === null && frame !== undefined ? [...spellings, { text: frame, framed: true }] : spellings;
}

/**
 * As it is, in capitals, and without the blanks between groups of digits.
 * @param {string} text
 * @param {Symbology | null} kind
 * @param {boolean} framed
 * @returns {Spelling[]}
 */
function typed(text, kind, framed) {
  return [text, text.replaceAll(" ", "")].flatMap((one) => {
    const capitals = { text: one.toUpperCase(), framed };
    return CAPITALS.has(kind) ? [capitals] : [{ text: one, framed }, capitals];
  });
}

/**
 * @param {string} text
 * @param {Symbology | null} kind
 */
function canBe(text, kind) {
  if (!/[0-9]/.test(text) || text.includes("*") || WORD_AND_COLON.test(text) || text.length > LONGEST) return false;
  // Of the symbologies only Code 39 has a blank in a number, and it may have been typed.
  const code = kind ?? (text.includes(" ") ? "CODE_39" : "CODE_128");
  return ENCODABLE[code].test(text) && (code !== "EAN_13" || weights31(text));
}
