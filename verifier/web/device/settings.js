// @ts-check
/** What the person has chosen on this device. Nothing here says who that is. */

export const LANGUAGES = /** @type {const} */ (["de", "en", "de-simple"]);

/**
 * ``handScanner``: a built-in scanner puts in text without keys; ``deskSeconds``: how long the library desk shows a valid card; ``logDays`` 0: no log.
 * @typedef {object} Settings
 * @property {typeof LANGUAGES[number]} language
 * @property {string | null} zone of the shift
 * @property {boolean} sound
 * @property {boolean} vibration
 * @property {boolean} handScanner
 * @property {number} deskSeconds 1 to 60
 * @property {number} logDays 0 to 30
 */

/** @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze({
  language: "de",
  zone: null,
  sound: false,
  vibration: true,
  handScanner: false,
  deskSeconds: 3,
  logDays: 0,
});

/** @typedef {import("./store.js").Store} Store */

/**
 * @param {Store} store
 * @returns {Promise<Settings>} whatever is stored that makes no sense is the default
 */
export async function readSettings(store) {
  return sensible(await store.get("state", "settings"));
}

/**
 * @param {Store} store
 * @param {Partial<Settings>} changes
 * @returns {Promise<Settings>}
 */
export function changeSettings(store, changes) {
  return store.update("state", "settings", (known) => sensible({ ...sensible(known), ...changes }));
}

/**
 * @param {unknown} stored
 * @returns {Settings}
 */
function sensible(stored) {
  const one = /** @type {Partial<Record<keyof Settings, unknown>>} */ (stored ?? {});
  return {
    language: LANGUAGES.find((known) => known === one.language) ?? DEFAULTS.language,
    zone: typeof one.zone === "string" && one.zone.length <= 40 ? one.zone : null,
    sound: one.sound === true,
    vibration: one.vibration !== false,
    handScanner: one.handScanner === true,
    deskSeconds: within(one.deskSeconds, 1, 60) ?? DEFAULTS.deskSeconds,
    logDays: within(one.logDays, 0, 30) ?? DEFAULTS.logDays,
  };
}

/**
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 * @returns {number | null}
 */
function within(value, least, most) {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most ? Number(value) : null;
}
