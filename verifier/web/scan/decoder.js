/**
 * Pictures to texts of codes, in a worker. @module
 */
import { scriptUrl } from "./script-urls.js";

/** @typedef {{thorough?: boolean, oneDimensional?: boolean}} DecodeOptions */
/** What was read, and in which symbology of card numbers, where it is one. @typedef {{text: string, symbology: import("../core/scanned-cards.js").Symbology | null}} Code */
/** @typedef {{codes: Code[], texts: string[], ms: number}} Decoded */

/** A reader was known to spend 16 s on a picture of repeated corner marks; no frame is worth that. */
const FRAME_MS = 3_000;
const THOROUGH_MS = 15_000;
const START_MS = 20_000;
/** Every so many frames the threshold is taken over the whole picture, which reads what the local one does not. */
const GLOBAL_EVERY = 4;

/** The decoder did not start, took too long or broke down. */
export class DecoderFault extends Error {
  /** @param {"START"|"SLOW"|"BROKEN"|"STOPPED"} code */
  constructor(code) {
    super(code);
    this.name = "DecoderFault";
    this.code = code;
  }
}

/** One worker with one engine; pictures are read one after another. */
export class Decoder {
  /** @type {"zxing"|"qr"} */
  engine = "zxing";
  #preferFallback = false;
  /** @type {Worker|null} */
  #worker = null;
  #frames = 0;
  #stopped = false;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve();

  /**
   * @param {{preferFallback?: boolean}} [options] preferFallback: the engine without WebAssembly in any case
   * @returns {Promise<Decoder>}
   * @throws {DecoderFault} START where neither engine can be loaded
   */
  static async start({ preferFallback = false } = {}) {
    const decoder = new Decoder();
    decoder.#preferFallback = preferFallback;
    await decoder.#open();
    return decoder;
  }

  async #open() {
    const worker = new Worker(scriptUrl("scan/decode-worker.js"), { type: "module" });
    try {
      const { engine } = await ask(worker, { start: true, preferFallback: this.#preferFallback }, [], START_MS);
      this.engine = engine;
    } catch {
      worker.terminate();
      throw new DecoderFault("START");
    }
    if (this.#stopped) worker.terminate();
    else this.#worker = worker;
  }

  /**
   * Every QR and Aztec code in the picture, each text once: at most 8, of at most 4096 characters. The picture is
   * handed over to the worker and is empty afterwards.
   * @param {ImageData|ImageBitmap} picture
   * @param {DecodeOptions} [options] thorough: several passes, for a photo; oneDimensional: the bar codes of library cards as well
   * @returns {Promise<Decoded>} ms: time in the worker
   * @throws {DecoderFault} SLOW or BROKEN (the next picture gets a fresh worker), STOPPED, START
   */
  decode(picture, options = {}) {
    const answer = this.#queue.then(() => this.#decode(picture, options));
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  /** @param {ImageData|ImageBitmap} picture @param {DecodeOptions} options @returns {Promise<Decoded>} */
  async #decode(picture, { thorough = false, oneDimensional = false }) {
    if (this.#stopped) throw new DecoderFault("STOPPED");
    if (!this.#worker) await this.#open();
    const worker = this.#worker;
    if (!worker) throw new DecoderFault("STOPPED");
    this.#frames += 1;
    const global = !thorough && this.#frames % GLOBAL_EVERY === 0;
    const isBitmap = picture instanceof ImageBitmap;
    const sent = isBitmap ? picture : { data: picture.data, width: picture.width, height: picture.height };
    try {
      return await ask(
        worker,
        { picture: sent, thorough, oneDimensional, global },
        [isBitmap ? picture : picture.data.buffer],
        thorough ? THOROUGH_MS : FRAME_MS,
      );
    } catch (fault) {
      worker.terminate();
      if (this.#worker === worker) this.#worker = null;
      throw this.#stopped ? new DecoderFault("STOPPED") : fault;
    }
  }

  /** Ends the worker; `decode` refuses from now on. */
  stop() {
    this.#stopped = true;
    this.#worker?.terminate();
    this.#worker = null;
  }
}

/**
 * @param {Worker} worker @param {object} message @param {Transferable[]} handed @param {number} limit in ms
 * @returns {Promise<any>}
 */
function ask(worker, message, handed, limit) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DecoderFault("SLOW")), limit);
    worker.onmessage = ({ data }) => {
      clearTimeout(timer);
      if (data.fault) reject(new DecoderFault("BROKEN"));
      else resolve(data);
    };
    worker.onerror = () => {
      clearTimeout(timer);
      reject(new DecoderFault("BROKEN"));
    };
    worker.postMessage(message, handed);
  });
}
