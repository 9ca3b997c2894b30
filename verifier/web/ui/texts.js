// @ts-check
/** What people read, in the language of the device's settings. */

/** @typedef {import("../core/verdict.js").Say} Say */
/** @typedef {"de" | "en" | "de-simple"} Language */

/** The languages, each by its own name. @type {Record<Language, string>} */
export const LANGUAGES = { de: "Deutsch", en: "English", "de-simple": "Einfaches Deutsch" };

/**
 * The catalogue of a language: the app's texts and the sentences of verdicts.
 * @param {Language} language
 * @returns {Promise<Say>}
 */
export async function loadTexts(language) {
  const [own, verdicts] = await Promise.all([load(`${language}.json`), load(`verdicts.${language}.json`)]);
  const texts = new Map([...Object.entries(verdicts), ...Object.entries(own)]);
  return (code, params = {}) => {
    const text = texts.get(code);
    if (text === undefined) throw new Error(`no text ${code} in ${language}`);
    return text.replace(/\{(\w+)\}/g, (whole, name) => String(params[name] ?? whole));
  };
}

/**
 * The BCP 47 tag of a language: plain German is German to whoever reads aloud.
 * @param {Language} language
 */
export function languageTag(language) {
  return language === "en" ? "en" : "de";
}

/**
 * @param {string} name
 * @returns {Promise<Record<string, string>>}
 */
async function load(name) {
  const response = await fetch(new URL(`../texts/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`${response.status} for ${name}`);
  return response.json();
}
