// @ts-check
/** Typing a plate with large keys; a keyboard or a screen reader types into the field itself. */

import { button, h } from "../dom.js";

const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ"];
const DIGITS = [..."1234567890"];
const LONGEST = 14;

/**
 * @param {import("../app.js").App} app
 * @returns {import("../app.js").Screen}
 */
export function showPlate(app) {
  const { say } = app;
  const input = h("input", {
    id: "plate", class: "plate", maxlength: LONGEST, autocomplete: "off", autocapitalize: "characters",
    spellcheck: "false", enterkeyhint: "go", "aria-describedby": "plate-hint",
  });
  const upper = () => {
    const at = input.selectionStart;
    input.value = input.value.toUpperCase();
    input.setSelectionRange(at, at);
  };
  input.addEventListener("input", upper);
  /** @param {string} sign */
  const type = (sign) => {
    if (input.value.length >= LONGEST) return;
    input.value += sign;
    input.scrollLeft = input.scrollWidth;
  };
  /**
   * @param {string} label
   * @param {() => void} press
   * @param {Record<string, unknown>} [props]
   */
  const key = (label, press, props = {}) => h("button", { type: "button", class: "key", onclick: press, ...props }, label);
  /** @param {Event} event */
  const check = async (event) => {
    event.preventDefault();
    if (input.value.trim() !== "") await app.checkPlate(input.value);
    else input.focus();
  };
  const zone = app.device.zoneName;
  const element = h("form", { class: "screen typing", novalidate: true, onsubmit: check },
    h("h1", {}, h("label", { for: "plate" }, say("PLATE_TITLE"))),
    h("p", { class: "hint", id: "plate-hint" }, say("PLATE_HINT"), zone ? ` ${say("IN_ZONE", { zone })}` : ""),
    input,
    h("div", { class: "keys", role: "group", "aria-label": say("KEYS") },
      LETTERS.map((sign) => key(sign, () => type(sign))),
      key("–", () => type("-"), { "aria-label": say("KEY_DASH"), class: "key wide" }),
      key("⌫", () => { input.value = input.value.slice(0, -1); }, { "aria-label": say("KEY_BACK"), class: "key wide" }),
      key(say("KEY_CLEAR"), () => { input.value = ""; }, { class: "key wide small" })),
    h("div", { class: "keys digits", role: "group", "aria-label": say("DIGITS") }, DIGITS.map((sign) => key(sign, () => type(sign)))),
    button(say("CHECK"), () => undefined, { type: "submit", class: "button primary" }),
  );
  return { title: say("PLATE_TITLE"), element, ...(hasKeyboard() ? { focus: input } : {}) };
}

/** Where a finger types, focus in the field would put the telephone's keyboard over ours. */
function hasKeyboard() {
  return matchMedia("(pointer: fine)").matches;
}
