/**
 * Addresses of our own scripts under Trusted Types. The page's policy allows the one name `stadtpass`, once.
 * @module
 */

const base = new URL("../", import.meta.url);

/** @param {string} address @returns {string} */
function own(address) {
  const url = new URL(address, base);
  if (!url.href.startsWith(base.href)) throw new TypeError(`not a script of this app: ${url.href}`);
  return url.href;
}

const factory = /** @type {any} */ (globalThis).trustedTypes;
const policy = factory ? factory.createPolicy("stadtpass", { createScriptURL: own }) : null;

/**
 * What `new Worker` and `serviceWorker.register` take.
 * @param {string} address of a script below `verifier/web/`, absolute or relative to that folder
 * @returns {string} a TrustedScriptURL where the browser has Trusted Types
 * @throws {TypeError} for an address outside of the app
 */
export function scriptUrl(address) {
  return policy ? policy.createScriptURL(address) : own(address);
}
