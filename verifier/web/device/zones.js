// @ts-check
/** The city's zones as a device knows them: fetched, named, and those that were merged into the one of the shift. */

/** @typedef {import("./identity.js").Zone} Zone */

const PATIENCE = 10_000;

/**
 * Zones for a device that is not enrolled; without network those known stay.
 * @param {import("./store.js").Store} store
 */
export async function askCity(store) {
  try {
    const response = await fetch(new URL("../zones.json", import.meta.url), { signal: AbortSignal.timeout(PATIENCE) });
    const told = await response.json();
    if (typeof told.city !== "string" || !Array.isArray(told.zones)) return;
    await store.put("state", "city", { city: told.city, zones: told.zones });
  } catch {
    // Offline, or another kind of host.
  }
}

/**
 * @param {readonly Zone[]} zones
 * @param {string | null} code
 */
export function nameOfZone(zones, code) {
  return code ? (zones.find((one) => one.code === code)?.name ?? code) : "";
}

/**
 * The zone of the shift with those that were merged into it, as checks go by them.
 * @param {readonly Zone[]} zones
 * @param {string | null} code
 */
export function withMerged(zones, code) {
  const chosen = code || null;
  /** @param {Zone} one */
  const others = ({ merged }) => (Array.isArray(merged) ? merged : []);
  // A zone that ended in the middle of a shift is where its successor is.
  const zone = zones.find((one) => one.code === chosen) ?? zones.find((one) => chosen && others(one).includes(chosen));
  return zone === undefined ? { zone: chosen, merged: [] } : { zone: zone.code, merged: others(zone) };
}
