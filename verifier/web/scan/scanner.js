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
 * Emits `code` ({detail: {text}}). The same text is silent for three seconds, time spent in `pause` not counted;
 * any new text is reported at once, our own before foreign ones of the same picture.
 */
export class Scanner extends EventTarget {
  /** @type {Map<string, number>} text to when it was reported */
  #reported = new Map();
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
        const { texts } = await decoder.decode(frame, options);
        if (turn === this.#turn) this.#report(texts);
      } catch (fault) {
        if (!(fault instanceof DecoderFault)) throw fault;
        if (fault.code === "STOPPED" || fault.code === "START") {
          this.dispatchEvent(new CustomEvent("fault", { detail: { code: fault.code } }));
          return;
        }
      }
    }
  }

  /** @param {string[]} texts */
  #report(texts) {
    const now = performance.now();
    for (const [text, at] of this.#reported) if (now - at >= SAME_MS) this.#reported.delete(text);
    const ours = texts.filter((text) => SEAL.test(text));
    for (const text of [...ours, ...texts.filter((one) => !SEAL.test(one))]) {
      // Whoever listens may pause: the rest of this picture then waits for another.
      if (this.#paused) return;
      if (this.#reported.has(text)) continue;
      this.#reported.set(text, now);
      this.dispatchEvent(new CustomEvent("code", { detail: { text } }));
    }
  }
}
