// @ts-check
/** Check schemes of card numbers, as `passes/card_numbers.py` has them: text in, whether form and check digit fit out. */

const KENNUNG_DIGITS = 9;

/** The forms and checks by name. @type {Map<string, {form: RegExp, check: (text: string) => boolean}>} */
export const SCHEMES = new Map([
  ["codabar14", { form: /^[0-9]{14}$/, check: luhn }],
  ["mod11", { form: /^[A-Z][0-9]{8}[0-9X]$/, check: mod11 }],
  ["sbc_kennung", { form: /^(?:[0-9]{9}|[0-9A-V]{6})$/, check: sbcKennung }],
  ["sbc_like", { form: /^[0-9A-V]{6}[0-9]{6}$/, check: sbcReader }],
]);

/**
 * EAN-13 and the Kennung: weights 3, 1, 3, 1, ... from the right over the digits before the last.
 * @param {string} digits
 */
export function weights31(digits) {
  return fromRight(digits).reduce((sum, digit, place) => sum + digit * (place % 2 ? 3 : 1), 0) % 10 === 0;
}

/** @param {string} text ISO/IEC 7812-1 annex B */
function luhn(text) {
  const sum = fromRight(text).reduce((before, digit, place) => {
    const value = place % 2 ? 2 * digit : digit;
    return before + Math.floor(value / 10) + (value % 10);
  }, 0);
  return sum % 10 === 0;
}

/** @param {string} text */
function mod11(text) {
  return fromRight(text.slice(1)).reduce((sum, digit, place) => sum + (place + 1) * digit, 0) % 11 === 0;
}

/** @param {string} text */
function sbcKennung(text) {
  const digits = text.length === KENNUNG_DIGITS ? text : String(parseInt(text, 32));
  return digits.length === KENNUNG_DIGITS && weights31(digits);
}

/** @param {string} text */
function sbcReader(text) {
  const digits = String(parseInt(text.slice(0, 6), 32));
  return digits.startsWith("3") && sbcKennung(digits);
}

/** @param {string} text digits, and X for ten */
function fromRight(text) {
  return [...text].reverse().map((sign) => (sign === "X" ? 10 : Number(sign)));
}
