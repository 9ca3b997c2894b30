// @ts-check
/** Days and times as German law counts them, in Europe/Berlin. The zone's rules are the platform's. */

const PARTS = new Intl.DateTimeFormat("en-GB", {
  timeZone: "Europe/Berlin",
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** @param {number} seconds since 1970 */
function parts(seconds) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const { type, value } of PARTS.formatToParts(seconds * 1000)) found[type] = value;
  const { year = "", month = "", day = "", hour = "", minute = "", second = "" } = found;
  return { year: year.padStart(4, "0"), month, day, hour, minute, second };
}

/**
 * @param {number} seconds since 1970
 * @returns {string} the day in Berlin, ``YYYY-MM-DD``
 */
export function berlinDay(seconds) {
  const { year, month, day } = parts(seconds);
  return `${year}-${month}-${day}`;
}

/**
 * @param {number} seconds since 1970
 * @returns {string} as people read it, ``20.11.2026 12:00``
 */
export function clockText(seconds) {
  const { year, month, day, hour, minute } = parts(seconds);
  return `${day}.${month}.${year} ${hour}:${minute}`;
}

/**
 * @param {number} seconds since 1970
 * @returns {string} RFC 3339 with Berlin's offset
 */
export function berlinTime(seconds) {
  const { year, month, day, hour, minute, second } = parts(seconds);
  const asUtc = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const offset = Math.round((asUtc / 1000 - seconds) / 60);
  const sign = offset < 0 ? "-" : "+";
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${sign}${two(hours)}:${two(minutes)}`;
}

/**
 * @param {string | null} day ``YYYY-MM-DD``
 * @returns {string} ``DD.MM.YYYY``; empty for none
 */
export function dayText(day) {
  return day === null ? "" : day.split("-").reverse().join(".");
}

/**
 * Whether ``text`` is a day of the calendar, ``YYYY-MM-DD``, from 1900 to 2199.
 * @param {string} text
 */
export function isDay(text) {
  if (!/^(19|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}
