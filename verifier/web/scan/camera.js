/**
 * The camera: lens, torch, zoom and frames. @module
 */

/** @typedef {"DENIED"|"NONE"|"BUSY"|"INSECURE"|"UNSUPPORTED"|"UNANSWERED"} CameraCode */
/** @typedef {{torch: boolean, zoom: {min: number, max: number, step: number}|null}} CameraCapabilities */

const PROBE_MS = 10_000;
const LENS_KEY = "stadtpass.lens";
/** How far a picture is cropped where the lens itself cannot zoom. */
const LARGEST_CROP = 4;
const NEXT_FRAME_MS = 500;

/** The camera cannot be used. */
export class CameraRefusal extends Error {
  /** @param {CameraCode} code */
  constructor(code) {
    super(code);
    this.name = "CameraRefusal";
    this.code = code;
  }
}

/**
 * An open camera. It lets go of the device while the page is hidden and takes it again on return, with the same
 * lens, torch and zoom. Events: `change` when capabilities may differ, `refused` ({detail: {code}}) when it is lost.
 */
export class Camera extends EventTarget {
  #video;
  /** @type {MediaStream|null} */
  #stream = null;
  /** @type {string|undefined} */
  #deviceId;
  /** @type {{id: string, label: string}[]} */
  #lenses = [];
  #torch = false;
  #zoom = 1;
  #paused = false;
  #closed = false;
  /** Counts openings, so that one that was overtaken lets its stream go. */
  #turn = 0;
  /** @type {WakeLockSentinel|null} */
  #wakeLock = null;
  #canvas = document.createElement("canvas");

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    super();
    this.#video = video;
  }

  /**
   * @param {HTMLVideoElement} video shows the picture; made muted and inline, which iOS asks for
   * @param {{deviceId?: string}} [options] the lens; else the one used last, else one that looks away
   * @returns {Promise<Camera>}
   * @throws {CameraRefusal}
   */
  static async open(video, { deviceId } = {}) {
    if (!globalThis.isSecureContext) throw new CameraRefusal("INSECURE");
    if (!navigator.mediaDevices?.getUserMedia) throw new CameraRefusal("UNSUPPORTED");
    const camera = new Camera(video);
    camera.#deviceId = deviceId ?? remembered();
    await camera.#acquire();
    document.addEventListener("visibilitychange", camera.#onVisibility);
    return camera;
  }

  /** The cameras of the device; their labels are known once one has been allowed. */
  lenses() {
    return [...this.#lenses];
  }

  /** The id of the lens in use, or undefined. */
  get lens() {
    return this.#track?.getSettings().deviceId;
  }

  /** How far the picture is zoomed. */
  get zoom() {
    return this.#zoom;
  }

  /**
   * @param {string} id of `lenses()`; remembered for the next time
   * @throws {CameraRefusal}
   */
  async useLens(id) {
    this.#deviceId = id;
    this.#zoom = 1;
    await this.#acquire();
    if (this.lens === id) remember(id);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Take the device again after it was lost.
   * @throws {CameraRefusal}
   */
  async reopen() {
    await this.#acquire();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * What this lens can do.
   * @returns {CameraCapabilities}
   */
  capabilities() {
    const can = this.#able();
    const zoom = can.zoom && can.zoom.max > can.zoom.min ? can.zoom : null;
    return {
      torch: Boolean(can.torch),
      zoom: zoom && { min: zoom.min, max: zoom.max, step: zoom.step || 0.1 },
    };
  }

  /** @param {boolean} on; without effect where the lens has no torch */
  async setTorch(on) {
    this.#torch = on;
    if (this.capabilities().torch) await this.#adjust();
  }

  /**
   * By the lens where it can; else by cropping the frames at the sensor's full resolution.
   * @param {number} factor within `capabilities().zoom`, or 1 to 4 where that is null
   */
  async setZoom(factor) {
    const real = this.capabilities().zoom;
    this.#zoom = Math.min(Math.max(factor, real?.min ?? 1), real?.max ?? LARGEST_CROP);
    if (!real && this.#zoom > 1) await this.#useWholeSensor();
    await this.#adjust();
    this.#video.style.transform = this.#crop > 1 ? `scale(${this.#crop})` : "";
  }

  /**
   * The picture of now.
   * @returns {ImageData|null} null while there is none
   */
  frame() {
    const { videoWidth, videoHeight, readyState } = this.#video;
    if (!this.#stream || this.#paused || readyState < 2 || !videoWidth) return null;
    const width = Math.round(videoWidth / this.#crop);
    const height = Math.round(videoHeight / this.#crop);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const drawn = this.#canvas.getContext("2d", { willReadFrequently: true });
    if (!drawn) return null;
    const left = (videoWidth - width) >> 1;
    const top = (videoHeight - height) >> 1;
    drawn.drawImage(this.#video, left, top, width, height, 0, 0, width, height);
    return drawn.getImageData(0, 0, width, height);
  }

  /** Resolves when a new picture is there, or after half a second. */
  nextFrame() {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const timer = setTimeout(resolve, NEXT_FRAME_MS);
        const done = () => {
          clearTimeout(timer);
          resolve();
        };
        if ("requestVideoFrameCallback" in this.#video) this.#video.requestVideoFrameCallback(done);
        else requestAnimationFrame(done);
      })
    );
  }

  /** The picture stands still; the device stays open and its torch on. */
  pause() {
    this.#paused = true;
    this.#video.pause();
  }

  /** The picture moves again. */
  async resume() {
    this.#paused = false;
    if (this.#stream) await this.#video.play().catch(() => undefined);
  }

  /** Lets go of the device for good. */
  close() {
    this.#closed = true;
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#release();
  }

  get #track() {
    return this.#stream?.getVideoTracks()[0];
  }

  get #crop() {
    return this.capabilities().zoom ? 1 : this.#zoom;
  }

  /** @returns {any} torch and zoom are not in every browser's types */
  #able() {
    return this.#track?.getCapabilities?.() ?? {};
  }

  /** Torch and zoom in one go: constraints replace those before, and a torch left out of them would go off. */
  async #adjust() {
    const { torch, zoom } = this.capabilities();
    if (!torch && !zoom) return;
    /** @type {any} not in every browser's types */
    const wanted = { ...(torch && { torch: this.#torch }), ...(zoom && { zoom: this.#zoom }) };
    await this.#track?.applyConstraints({ advanced: [wanted] }).catch(() => undefined);
  }

  async #useWholeSensor() {
    const { width, height } = this.#able();
    if (!width?.max || !height?.max) return;
    await this.#track
      ?.applyConstraints({ width: { ideal: width.max }, height: { ideal: height.max } })
      .catch(() => undefined);
  }

  async #acquire() {
    this.#release();
    const turn = (this.#turn += 1);
    const stream = await openStream(this.#deviceId);
    if (turn !== this.#turn || this.#closed) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.#stream = stream;
    const track = stream.getVideoTracks()[0];
    track?.addEventListener("ended", () => {
      if (this.#track === track) this.#lost("BUSY");
    });
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = stream;
    if (!this.#paused) await this.#video.play().catch(() => undefined);
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.#lenses = devices
      .filter((device) => device.kind === "videoinput")
      .map(({ deviceId, label }) => ({ id: deviceId, label }));
    await this.setZoom(this.#zoom);
    await this.#keepAwake();
  }

  #release() {
    this.#turn += 1;
    const stream = this.#stream;
    this.#stream = null;
    for (const track of stream?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
    this.#wakeLock?.release().catch(() => undefined);
    this.#wakeLock = null;
  }

  async #keepAwake() {
    const turn = this.#turn;
    const lock = await navigator.wakeLock?.request("screen").catch(() => null);
    if (turn === this.#turn) this.#wakeLock = lock ?? null;
    else lock?.release().catch(() => undefined);
  }

  /** @param {CameraCode} code */
  #lost(code) {
    this.#release();
    this.dispatchEvent(new CustomEvent("refused", { detail: { code } }));
  }

  #onVisibility = async () => {
    if (document.hidden) {
      this.#release();
      return;
    }
    try {
      await this.#acquire();
      this.dispatchEvent(new Event("change"));
    } catch (fault) {
      if (!(fault instanceof CameraRefusal)) throw fault;
      this.#lost(fault.code);
    }
  };
}

/** @param {string|undefined} deviceId @returns {Promise<MediaStream>} @throws {CameraRefusal} */
async function openStream(deviceId) {
  const size = { width: { ideal: 1920 }, height: { ideal: 1080 } };
  const away = { facingMode: { ideal: "environment" } };
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { ...size, ...(deviceId ? { deviceId: { exact: deviceId } } : away) },
    });
  } catch (fault) {
    const name = fault instanceof Error ? fault.name : "";
    // A lens remembered from before may be unplugged, have another id today, or not open on its own.
    if (deviceId && ["OverconstrainedError", "NotFoundError", "NotReadableError"].includes(name)) return openStream(undefined);
    if (name === "NotAllowedError" || name === "SecurityError") throw new CameraRefusal("DENIED");
    if (name === "NotFoundError" || name === "OverconstrainedError") throw new CameraRefusal("NONE");
    if (name === "NotReadableError" || name === "AbortError") throw new CameraRefusal("BUSY");
    throw fault instanceof TypeError ? new CameraRefusal("UNSUPPORTED") : fault;
  }
}

/** @returns {string|undefined} */
function remembered() {
  try {
    return localStorage.getItem(LENS_KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} id */
function remember(id) {
  try {
    localStorage.setItem(LENS_KEY, id);
  } catch {
    // Storage may be forbidden; the lens is then chosen again next time.
  }
}

/** Open the camera and let it go. A question about it that nobody answers is no answer. */
export async function probeCamera() {
  const opening = Camera.open(document.createElement("video"));
  /** @type {Promise<null>} */
  const unanswered = new Promise((resolve) => setTimeout(resolve, PROBE_MS, null));
  const camera = await Promise.race([opening, unanswered]);
  if (camera !== null) return camera.close();
  opening.then((late) => late.close(), () => undefined);
  throw new CameraRefusal("UNANSWERED");
}
