/**
 * Width and height from a picture file's own header, before a browser decodes a pixel of it. @module
 */

/** JPEG markers that hold the size: SOF0 to SOF15 without DHT, JPG and DAC between them (ITU-T T.81 table B.1). */
const FRAME_MARKERS = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);
/** Cameras write a handful of segments before the frame's. */
const MAX_SEGMENTS = 200;

/**
 * @param {Uint8Array<ArrayBuffer>} file PNG (W3C PNG 11.2.2), JPEG (T.81 B.2.2) or WebP (RFC 9649), whole
 * @returns {{width: number, height: number}|null} null for anything else
 */
export function pictureSize(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    const size = png(view) ?? jpeg(view) ?? webp(view);
    return size && size.width > 0 && size.height > 0 ? size : null;
  } catch (fault) {
    // The file ends before its header does.
    if (fault instanceof RangeError) return null;
    throw fault;
  }
}

/** @param {DataView} view */
function png(view) {
  if (view.getUint32(0) !== 0x89504e47 || view.getUint32(4) !== 0x0d0a1a0a || word(view, 12) !== "IHDR") return null;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** @param {DataView} view */
function jpeg(view) {
  if (view.getUint16(0) !== 0xffd8) return null;
  let at = 2;
  for (let segment = 0; segment < MAX_SEGMENTS; segment += 1) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (FRAME_MARKERS.has(marker)) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/** @param {DataView} view */
function webp(view) {
  if (word(view, 0) !== "RIFF" || word(view, 8) !== "WEBP") return null;
  const chunk = word(view, 12);
  if (chunk === "VP8X") return { width: 1 + uint24(view, 24), height: 1 + uint24(view, 27) };
  if (chunk === "VP8L" && view.getUint8(20) === 0x2f) {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  if (chunk === "VP8 ") return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  return null;
}

/** @param {DataView} view @param {number} at */
function word(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((place) => view.getUint8(at + place)));
}

/** @param {DataView} view @param {number} at */
function uint24(view, at) {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}
