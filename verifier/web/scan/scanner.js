/**
 * From camera and decoder to codes, each reported once. @module
 */
import { DecoderFault } from "./decoder.js";

/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {import("./decoder.js").Decoder} Decoder */

const SAME_MS = 3_000;
/** Printed and rotating seals. */
const SEAL = /^SP1R?:/;

/**
 * Emits `code` ({detail: a `Code`}). The same text is silent for three seconds, time spent in `pause` not counted;
 * any new text is reported at once, our own before foreign ones of the same picture.
 */
export class Scanner extends EventTarget {
  /** @type {Map<string, number>} text to when it was reported */
  #reported = new Map();
  /** The bar codes of the picture before. @type {Set<string>} */
  #bars = new Set();
  #paused = false;
  /** Counts starts, so that an older loop ends. */
  #turn = 0;
  /** @type {Camera|null} */
  #camera = null;

  /**
   * @param {Camera} camera @param {Decoder} decoder
   * @param {import("./decoder.js").DecodeOptions} [options] for every frame
   */
  start(camera, decoder, options = {}) {
    this.#camera = camera;
    this.#paused = false;
    this.#reported.clear();
    this.#turn += 1;
    void this.#loop(this.#turn, camera, decoder, options);
  }

  /** Nothing is reported and the picture stands; the torch stays on. */
  pause() {
    this.#paused = true;
    this.#camera?.pause();
  }

  /** Goes on; what was just reported keeps silent for another three seconds. */
  resume() {
    const now = performance.now();
    for (const text of this.#reported.keys()) this.#reported.set(text, now);
    this.#paused = false;
    void this.#camera?.resume();
  }

  /** Ends for good, or until the next `start`. Camera and decoder stay as they are. */
  stop() {
    this.#turn += 1;
    this.#camera = null;
  }

  /** @param {number} turn @param {Camera} camera @param {Decoder} decoder @param {object} options */
  async #loop(turn, camera, decoder, options) {
    while (turn === this.#turn) {
      await camera.nextFrame();
      const frame = this.#paused ? null : camera.frame();
      if (!frame) continue;
      try {
        const { codes } = await decoder.decode(frame, options);
        if (turn === this.#turn) this.#report(codes);
      } catch (fault) {
        if (!(fault instanceof DecoderFault)) throw fault;
        if (fault.code === "STOPPED" || fault.code === "START") {
          this.dispatchEvent(new CustomEvent("fault", { detail: { code: fault.code } }));
          return;
        }
      }
    }
  }

  /** @param {import("./decoder.js").Code[]} codes */
  #report(codes) {
    const now = performance.now();
    for (const [text, at] of this.#reported) if (now - at >= SAME_MS) this.#reported.delete(text);
    const ours = codes.filter(({ text }) => SEAL.test(text));
    const again = this.#bars;
    this.#bars = new Set(codes.filter(isBars).map(({ text }) => text));
    for (const code of [...ours, ...codes.filter(({ text }) => !SEAL.test(text))]) {
      const { text } = code;
      // Bars without a check digit read wrong where a picture is blurred, and then each time otherwise.
      if (isBars(code) && !again.has(text)) continue;
      // Whoever listens may pause: the rest of this picture then waits for another.
      if (this.#paused) return;
      if (this.#reported.has(text)) continue;
      this.#reported.set(text, now);
      this.dispatchEvent(new CustomEvent("code", { detail: code }));
    }
  }
}

/** @param {import("./decoder.js").Code} code */
function isBars({ symbology }) {
  return symbology !== null && symbology !== "QR";
}
