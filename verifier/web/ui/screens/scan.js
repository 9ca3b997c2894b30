// @ts-check
/** Scanning with the camera; beside it a photo, and a field for whatever cannot be scanned. */

import { Camera, CameraRefusal } from "../../scan/camera.js";
import { DecoderFault } from "../../scan/decoder.js";
import { decodePhoto, PhotoRefusal } from "../../scan/photo.js";
import { Scanner } from "../../scan/scanner.js";
import { button, field, h } from "../dom.js";

/**
 * @param {import("../app.js").App} app
 * @returns {import("../app.js").Screen}
 */
export function showScan(app) {
  const { say } = app;
  const zone = app.device.zoneName;
  const element = h("section", { class: "screen" },
    h("h1", {}, say("SCAN_TITLE")),
    zone ? h("p", { class: "hint" }, say("IN_ZONE", { zone })) : null,
    viewfinder(app),
    typeIn(app, say("TYPE_LABEL"), say("TYPE_HINT")),
  );
  return { title: say("SCAN_TITLE"), element };
}

/**
 * The camera with its switches and the photo button, as it was left; it goes on.
 * @param {import("../app.js").App} app
 * @param {import("../../scan/decoder.js").DecodeOptions} [options]
 */
export function viewfinder(app, options = {}) {
  app.viewfinder ??= new Viewfinder(app, options);
  app.viewfinder.resume();
  return app.viewfinder.element;
}

/**
 * Camera picture, switches, photo button. It stays over a verdict: the camera pauses, its torch goes on. A refused camera
 * says why and leaves the other ways.
 */
export class Viewfinder {
  /** @type {Camera | null} */
  #camera = null;
  #scanner = new Scanner();
  #closed = false;
  #paused = false;
  #torch = false;
  /** Counts pauses: a photo that is read after another check has begun is overtaken. */
  #turn = 0;
  #video = h("video", { class: "camera", playsinline: true, muted: true });
  #told = h("p", { class: "told", role: "status" });
  #frame = h("div", { class: "frame" }, this.#video);
  #switches = h("div", { class: "switches" });
  #file = h("input", { type: "file", accept: "image/*", class: "hidden", id: "photo", onchange: () => void this.#photo() });

  /**
   * @param {import("../app.js").App} app
   * @param {import("../../scan/decoder.js").DecodeOptions} options
   */
  constructor(app, options) {
    this.app = app;
    this.options = options;
    this.#video.setAttribute("aria-label", app.say("CAMERA_PICTURE"));
    this.element = h("div", { class: "cameras" }, this.#frame, this.#told, this.#switches,
      button(app.say("PHOTO"), () => this.#file.click()), this.#file);
    this.#scanner.addEventListener("code", (event) => {
      this.#take(/** @type {CustomEvent<import("../../scan/decoder.js").Code>} */ (event).detail);
    });
    this.#scanner.addEventListener("fault", () => this.#tell("CAMERA_DECODER"));
    void this.#open(options);
  }

  /** Nothing is read; the torch stays as it is. */
  pause() {
    this.#turn += 1;
    this.#paused = true;
    this.#scanner.pause();
  }

  resume() {
    if (!this.#paused) return;
    this.#paused = false;
    this.#told.textContent = this.#camera === null ? this.#told.textContent : this.app.say("CAMERA_HINT");
    this.#scanner.resume();
  }

  /** Let go of the camera. */
  close() {
    this.#closed = true;
    this.#scanner.stop();
    this.#camera?.close();
  }

  /** @param {import("../../scan/decoder.js").DecodeOptions} options */
  async #open(options) {
    this.#tell("CAMERA_STARTS");
    const starting = this.app.device.decoder();
    // Beside the camera, not after it; what becomes of it is asked below, or by the next photo.
    starting.catch(() => undefined);
    try {
      const camera = await Camera.open(this.#video);
      if (this.#closed) return camera.close();
      this.#camera = camera;
      camera.addEventListener("change", () => this.#draw());
      camera.addEventListener("refused", (event) => this.#lose(/** @type {CustomEvent<{code: string}>} */ (event).detail.code));
      this.#draw();
      const decoder = await starting;
      if (this.#closed) return;
      this.#tell("CAMERA_HINT");
      this.#scanner.start(camera, decoder, options);
      if (this.#paused) this.#scanner.pause();
    } catch (fault) {
      if (fault instanceof CameraRefusal) this.#refuse(fault.code);
      else if (fault instanceof DecoderFault) this.#tell("CAMERA_DECODER");
      else throw fault;
    }
  }

  /** @param {import("../../scan/decoder.js").Code} code */
  #take({ text, symbology }) {
    this.pause();
    void this.app.check([text], symbology);
  }

  async #photo() {
    const [chosen] = this.#file.files ?? [];
    if (chosen === undefined) return;
    this.pause();
    const turn = this.#turn;
    const overtaken = () => this.#closed || turn !== this.#turn;
    this.#tell("PHOTO_READING");
    try {
      const { codes } = await decodePhoto(chosen, await this.app.device.decoder(), this.options);
      if (overtaken()) return;
      if (codes[0] !== undefined) return this.#take(codes[0]);
    } catch (fault) {
      if (overtaken()) return;
      if (fault instanceof PhotoRefusal) this.#tell(`PHOTO_${fault.code}`);
      else if (fault instanceof DecoderFault) this.#tell("PHOTO_FAILED");
      else throw fault;
    } finally {
      this.#file.value = "";
    }
    this.#paused = false;
    this.#scanner.resume();
  }

  /** @param {string} code */
  #refuse(code) {
    this.#frame.hidden = true;
    this.#switches.replaceChildren();
    this.#tell(`CAMERA_${code}`);
  }

  /**
   * The open camera was taken away, or another lens did not open: it can be tried again.
   * @param {string} code
   */
  #lose(code) {
    this.#refuse(code);
    this.#switches.replaceChildren(button(this.app.say("CAMERA_RETRY"), async () => {
      try {
        await this.#camera?.reopen();
      } catch (fault) {
        if (!(fault instanceof CameraRefusal)) throw fault;
        this.#lose(fault.code);
      }
    }));
  }

  /** @param {string} code */
  #tell(code) {
    this.#told.textContent = this.app.say(code);
  }

  #draw() {
    const camera = this.#camera;
    if (camera === null) return;
    const { say } = this.app;
    if (this.#frame.hidden) {
      this.#frame.hidden = false;
      this.#tell("CAMERA_HINT");
    }
    const { torch, zoom } = camera.capabilities();
    const lenses = camera.lenses();
    const range = zoom ?? { min: 1, max: 4, step: 0.1 };
    /** @type {Node[]} */
    const shown = [];
    if (torch) {
      const light = button(say("TORCH"), () => {
        this.#torch = !this.#torch;
        light.setAttribute("aria-pressed", String(this.#torch));
        void camera.setTorch(this.#torch);
      }, { "aria-pressed": String(this.#torch) });
      shown.push(light);
    }
    if (lenses.length > 1) {
      shown.push(button(say("OTHER_LENS"), async () => {
        const at = lenses.findIndex((one) => one.id === camera.lens);
        const next = lenses[(at + 1) % lenses.length];
        try {
          if (next !== undefined) await camera.useLens(next.id);
        } catch (fault) {
          if (!(fault instanceof CameraRefusal)) throw fault;
          this.#lose(fault.code);
        }
      }));
    }
    const { input, element } = field(say("ZOOM"), {
      id: "zoom", type: "range", class: "slider", min: range.min, max: range.max, step: range.step, value: String(camera.zoom),
      oninput: () => void camera.setZoom(Number(input.value)),
    });
    this.#switches.replaceChildren(...shown, element);
  }
}

/**
 * A field for a code, plate or number.
 * @param {import("../app.js").App} app
 * @param {string} label
 * @param {string} hint
 */
export function typeIn(app, label, hint) {
  const { input, element } = field(label, {
    id: "typed", type: "text", maxlength: 800, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", enterkeyhint: "go",
  }, hint);
  /** @param {Event} event */
  const check = (event) => {
    event.preventDefault();
    if (input.value.trim() === "") input.focus();
    else void app.checkTyped(input.value);
  };
  return h("form", { class: "typein", onsubmit: check }, element,
    button(app.say("CHECK"), () => undefined, { type: "submit" }));
}
