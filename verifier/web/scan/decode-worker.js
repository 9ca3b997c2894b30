/**
 * The worker of `decoder.js`: one message in, one out. @module
 */

/** @typedef {{thorough: boolean, oneDimensional: boolean, global: boolean}} Options */
/** @typedef {{text: string, symbology: string | null}} Code what was read, and in which symbology of card numbers */
/** @typedef {(picture: ImageData, options: Options) => Promise<Code[]>} Engine */

/** Addresses, not specifiers: the type checker is not to judge what others wrote. */
const vendor = new URL("../vendor/", import.meta.url).href;
const MAX_TEXTS = 8;
const MAX_LENGTH = 4096;
/** What library cards have, by the engine's name: no other bar code is looked for, on whatever lies about. */
const LINEAR = { Codabar: "CODABAR", Code39: "CODE_39", Code128: "CODE_128", EAN13: "EAN_13", ITF: "ITF" };
/** @type {Record<string, string>} */
const SYMBOLOGIES = { ...LINEAR, Code39Std: "CODE_39", Code39Ext: "CODE_39", QRCode: "QR" };
/** Up to this many pixels a thorough pass also looks at the picture at twice its size. */
const DOUBLED_UP_TO = 3_000_000;

/** @type {Engine|null} */
let engine = null;

/** @returns {Promise<Engine>} @throws where WebAssembly is refused or its file is missing */
async function zxing() {
  // The empty module: throws at once, before a megabyte is fetched, where a policy forbids WebAssembly.
  new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  const { prepareZXingModule, readBarcodes } = await import(`${vendor}zxing-wasm/dist/es/reader/index.js`);
  const binary = `${vendor}zxing-wasm/dist/reader/zxing_reader.wasm`;
  // Its own default is an address in a content delivery network.
  await prepareZXingModule({ overrides: { locateFile: () => binary }, fireImmediately: true });
  return async (picture, { thorough, oneDimensional, global }) => {
    const common = {
      formats: oneDimensional ? ["QRCode", "Aztec", ...Object.keys(LINEAR)] : ["QRCode", "Aztec"],
      textMode: "Plain",
      maxNumberOfSymbols: MAX_TEXTS,
    };
    /** @param {ImageData} seen @param {object} more */
    const read = async (seen, more) => {
      const found = await readBarcodes(seen, /** @type {any} */ ({ ...common, ...more }));
      return found.filter((/** @type {any} */ one) => one.isValid)
        .map((/** @type {any} */ one) => ({ text: one.text, symbology: SYMBOLOGIES[one.format] ?? null }));
    };
    if (!thorough) return read(picture, { binarizer: global ? "GlobalHistogram" : "LocalAverage" });
    const codes = [
      ...(await read(picture, { binarizer: "LocalAverage" })),
      ...(await read(picture, { binarizer: "GlobalHistogram" })),
    ];
    if (codes.length) return codes;
    codes.push(...(await read(picture, { tryDenoise: true })));
    if (!codes.length && picture.width * picture.height <= DOUBLED_UP_TO) {
      codes.push(...(await read(doubled(picture), { tryDenoise: true })));
    }
    return codes;
  };
}

/** @returns {Promise<Engine>} */
async function qr() {
  const { decodeQRBatch } = await import(`${vendor}qr/decode.js`);
  return async (picture, { thorough }) => {
    const hard = thorough ? { effort: Infinity, timeLimit: 4_000 } : {};
    const maxSize = { width: picture.width, height: picture.height };
    const [found] = await decodeQRBatch([picture], { ...hard, maxSize });
    return found.filter((/** @type {unknown} */ one) => typeof one === "string")
      .map((/** @type {string} */ text) => ({ text, symbology: "QR" }));
  };
}

/** @param {ImageData} picture @returns {ImageData} */
function doubled(picture) {
  const { width, height } = picture;
  const small = new OffscreenCanvas(width, height);
  context(small).putImageData(picture, 0, 0);
  const large = context(new OffscreenCanvas(2 * width, 2 * height));
  large.imageSmoothingQuality = "high";
  large.drawImage(small, 0, 0, 2 * width, 2 * height);
  return large.getImageData(0, 0, 2 * width, 2 * height);
}

/** @param {OffscreenCanvas} canvas @returns {OffscreenCanvasRenderingContext2D} */
function context(canvas) {
  const drawn = canvas.getContext("2d", { willReadFrequently: true });
  if (!drawn) throw new Error("no canvas");
  return drawn;
}

/** @param {ImageBitmap|{data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number}} picture */
function pixels(picture) {
  if (!(picture instanceof ImageBitmap)) return new ImageData(picture.data, picture.width, picture.height);
  const { width, height } = picture;
  const drawn = context(new OffscreenCanvas(width, height));
  drawn.drawImage(picture, 0, 0);
  picture.close();
  return drawn.getImageData(0, 0, width, height);
}

/** @param {any} message @returns {Promise<object>} */
async function answer(message) {
  if (message.start) {
    if (!message.preferFallback) {
      try {
        engine = await zxing();
        return { engine: "zxing" };
      } catch {
        // The other engine says what is to be said.
      }
    }
    engine = await qr();
    return { engine: "qr" };
  }
  if (!engine) throw new Error("not started");
  const begin = performance.now();
  const found = await engine(pixels(message.picture), message);
  const codes = [...new Map(found.map((one) => [one.text, one])).values()]
    .filter(({ text }) => text && text.length <= MAX_LENGTH).slice(0, MAX_TEXTS);
  return { codes, texts: codes.map(({ text }) => text), ms: performance.now() - begin };
}

globalThis.onmessage = async (/** @type {MessageEvent} */ { data }) => {
  try {
    globalThis.postMessage(await answer(data));
  } catch {
    globalThis.postMessage({ fault: true });
  }
};
