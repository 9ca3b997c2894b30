/**
 * Hand scanners that type like a keyboard. @module
 */

/** Scanners type a key every few milliseconds; people do not keep up 50 ms for eight keys. */
const GAP_MS = 50;
const END_MS = 200;
const SHORTEST = 8;
/** Nor five keys and Enter: card numbers of six signs come so. */
const SHORTEST_ENDED = 5;
/** Nobody types into the field of a built-in scanner: there a card number is told by three characters. */
const SHORTEST_TEXT = 3;
const LONGEST = 4_096;

const PUNCTUATION =
  "Minus Equal BracketLeft BracketRight Backslash Semicolon Quote Comma Period Slash Backquote".split(" ");

/** Unshifted and shifted character of each key that is not a letter or digit row key with its own sign. */
const US = table("1!2@3#4$5%6^7&8*9(0)", "-_=+[{]}\\|;:'\",<.>/?`~");
const DE = table("1!2\"3§4$5%6&7/8(9)0=", "ß?´`üÜ+*#'öÖäÄ,;.:-_^°");

/** @param {string} digits @param {string} signs @returns {Map<string, string>} */
function table(digits, signs) {
  /** @type {Map<string, string>} */
  const keys = new Map([["Space", "  "]]);
  for (let at = 0; at < 10; at += 1) keys.set(`Digit${(at + 1) % 10}`, digits.slice(2 * at, 2 * at + 2));
  PUNCTUATION.forEach((name, at) => keys.set(name, signs.slice(2 * at, 2 * at + 2)));
  return keys;
}

/** @param {KeyboardEvent} event @param {Map<string, string>} signs @param {boolean} german */
function onLayout(event, signs, german) {
  const { code } = event;
  const letter = /^Key([A-Z])$/.exec(code)?.[1];
  if (letter) {
    const swapped = german ? ({ Y: "Z", Z: "Y" }[letter] ?? letter) : letter;
    return event.shiftKey !== event.getModifierState("CapsLock") ? swapped : swapped.toLowerCase();
  }
  const number = /^Numpad([0-9])$/.exec(code)?.[1];
  return number ?? signs.get(code)?.[event.shiftKey ? 1 : 0] ?? event.key;
}

/**
 * Emits `input` ({detail: {candidates}}): what was scanned as the system understood the keys, and as a scanner with
 * a US or a German layout pressed them. The candidate that verifies is the right one. Text without key codes is
 * taken from a field with `inputmode="none"` which the page keeps focused.
 */
export class Wedge extends EventTarget {
  /** @type {Window|null} */
  #window = null;
  /** @type {[string, string, string]} as the system, a US and a DE layout read the keys */
  #texts = ["", "", ""];
  #last = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** @type {{field: HTMLInputElement|HTMLTextAreaElement, value: string}|null} what a visible field held before */
  #typedInto = null;

  /** @param {Window} target */
  attach(target) {
    this.detach();
    this.#window = target;
    target.addEventListener("keydown", this.#onKey, true);
    target.addEventListener("input", this.#onInput, true);
  }

  /** Listens no more. */
  detach() {
    this.#window?.removeEventListener("keydown", this.#onKey, true);
    this.#window?.removeEventListener("input", this.#onInput, true);
    this.#window = null;
    this.#forget();
  }

  /** @param {KeyboardEvent} event */
  #onKey = (event) => {
    if (!event.code || event.isComposing || event.key === "Unidentified" || event.key === "Process") return;
    if (["Shift", "CapsLock", "AltGraph", "Alt", "Control"].includes(event.key)) return;
    const now = event.timeStamp;
    const fast = this.#texts[0].length > 0 && now - this.#last <= GAP_MS;
    if (event.key === "Enter" || event.key === "Tab") {
      if (isSilent(event.target) && event.target.value !== "") {
        // The end of a scan that was put in as text: it counts now, and the key is nobody's else.
        event.preventDefault();
        event.stopImmediatePropagation();
        this.#take(event.target);
      } else if (fast && this.#texts[0].length >= SHORTEST_ENDED) {
        event.preventDefault();
        event.stopImmediatePropagation();
        this.#emit();
      } else this.#forget();
      return;
    }
    const printable = event.key.length === 1 || event.key === "Dead";
    const chord = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
    if (!printable || chord || event.repeat) {
      this.#forget();
      return;
    }
    if (!fast) this.#begin(event.target);
    this.#last = now;
    // Keys of a scan must not press buttons; a person's typing into a field is left alone.
    if (isSilent(event.target) || (fast && !isEditable(event.target))) event.preventDefault();
    if (this.#texts[0].length >= LONGEST) return;
    this.#texts[0] += event.key.length === 1 ? event.key : "";
    this.#texts[1] += onLayout(event, US, false);
    this.#texts[2] += onLayout(event, DE, true);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#texts[0].length >= SHORTEST) this.#emit();
      else this.#forget();
    }, END_MS);
  };

  /** @param {Event} event */
  #onInput = (event) => {
    const field = event.target;
    if (!isSilent(field)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#take(field), END_MS);
  };

  /** @param {HTMLInputElement|HTMLTextAreaElement} field whose text is a whole scan */
  #take(field) {
    const text = field.value.replace(/[\r\n\t]+$/, "");
    field.value = "";
    this.#texts = [text, "", ""];
    if (text.length >= SHORTEST_TEXT && text.length <= LONGEST) this.#emit();
    else this.#forget();
  }

  /** @param {EventTarget|null} target */
  #begin(target) {
    this.#forget();
    if (isEditable(target)) this.#typedInto = { field: target, value: target.value };
  }

  #emit() {
    const candidates = [...new Set(this.#texts)].filter(Boolean);
    const typed = this.#typedInto;
    if (typed) {
      // The scan went into a field that was meant for something else: it gets back what it held.
      typed.field.value = typed.value;
      typed.field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    this.#forget();
    this.dispatchEvent(new CustomEvent("input", { detail: { candidates } }));
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#texts = ["", "", ""];
    this.#typedInto = null;
  }
}

/** @param {EventTarget|null} target @returns {target is HTMLInputElement|HTMLTextAreaElement} */
function isField(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}

/** @param {EventTarget|null} target @returns {target is HTMLInputElement|HTMLTextAreaElement} */
function isSilent(target) {
  return isField(target) && target.inputMode === "none";
}

/** @param {EventTarget|null} target @returns {target is HTMLInputElement|HTMLTextAreaElement} */
function isEditable(target) {
  return isField(target) && target.inputMode !== "none";
}
