/**
 * A seal from a photo. @module
 */
import { pictureSize } from "./picture-size.js";

const MAX_BYTES = 20 * 1024 * 1024;
const MAX_PIXELS = 50_000_000;
/** Longest side of the quick pass, most pixels of the thorough one. */
const QUICK_SIDE = 2_000;
const THOROUGH_PIXELS = 12_000_000;
/** Printed and rotating seals. */
const SEAL = /^SP1R?:/;

/** The photo gives no single code. */
export class PhotoRefusal extends Error {
  /** @param {"TOO_LARGE"|"NOT_A_PICTURE"|"NO_CODE"|"SEVERAL"} code */
  constructor(code) {
    super(code);
    this.name = "PhotoRefusal";
    this.code = code;
  }
}

/**
 * The one code of a photo; a seal of ours counts before foreign codes beside it.
 * @param {Blob} file a PNG, JPEG or WebP of at most 20 MB and 50 megapixels, judged before a pixel is decoded
 * @param {import("./decoder.js").Decoder} decoder
 * @param {import("./decoder.js").DecodeOptions} [options]
 * @returns {Promise<{texts: string[], codes: import("./decoder.js").Code[]}>} one code, and its text
 * @throws {PhotoRefusal} and DecoderFault SLOW, BROKEN, STOPPED
 */
export async function decodePhoto(file, decoder, options = {}) {
  if (file.size > MAX_BYTES) throw new PhotoRefusal("TOO_LARGE");
  /** @type {ImageBitmap} */
  let picture;
  try {
    const size = pictureSize(new Uint8Array(await file.arrayBuffer()));
    if (!size) throw new PhotoRefusal("NOT_A_PICTURE");
    if (size.width * size.height > MAX_PIXELS) throw new PhotoRefusal("TOO_LARGE");
    picture = await createImageBitmap(file);
  } catch (fault) {
    throw fault instanceof PhotoRefusal ? fault : new PhotoRefusal("NOT_A_PICTURE");
  }
  try {
    const { width, height } = picture;
    const quick = Math.min(1, QUICK_SIDE / Math.max(width, height));
    let { codes } = await decoder.decode(await scaled(picture, quick), options);
    if (!codes.length) {
      const large = Math.min(1, Math.sqrt(THOROUGH_PIXELS / (width * height)));
      ({ codes } = await decoder.decode(await scaled(picture, large), { ...options, thorough: true }));
    }
    const seals = codes.filter(({ text }) => SEAL.test(text));
    const meant = seals.length ? seals : codes;
    if (!meant.length) throw new PhotoRefusal("NO_CODE");
    if (meant.length > 1) throw new PhotoRefusal("SEVERAL");
    return { texts: meant.map(({ text }) => text), codes: meant };
  } finally {
    picture.close();
  }
}

/** @param {ImageBitmap} picture @param {number} factor at most 1 */
function scaled(picture, factor) {
  return createImageBitmap(picture, {
    resizeWidth: Math.max(1, Math.round(picture.width * factor)),
    resizeHeight: Math.max(1, Math.round(picture.height * factor)),
    resizeQuality: "high",
  });
}
