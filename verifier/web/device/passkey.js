// @ts-check
/** A secret that only this device's passkey gives out, after a finger, face or screen lock (WebAuthn Level 3, prf). */

import { bytesOf, sha256 } from "../core/bytes.js";
import { Refusal } from "../core/errors.js";

const ES256 = -7;
const RS256 = -257;
const MILLISECONDS = 60_000;

/** Which passkey, and what it is asked. @typedef {{id: Uint8Array<ArrayBuffer>, salt: Uint8Array<ArrayBuffer>}} Passkey */

/**
 * Whether making a passkey is worth a try; whether it has the prf extension shows only when it is made.
 * @returns {Promise<boolean>}
 */
export async function passkeysOffered() {
  if (typeof PublicKeyCredential === "undefined") return false;
  return PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().catch(() => false);
}

/**
 * A passkey that is here already, to be asked for another secret than before.
 * @param {Uint8Array} id
 * @returns {Passkey}
 */
export function freshlySalted(id) {
  return { id: new Uint8Array(id), salt: crypto.getRandomValues(new Uint8Array(32)) };
}

/**
 * Make a passkey. Call it from a tap.
 * @param {string} device its id: the same device's passkey is replaced, not added to
 * @param {string} name shown by the system
 * @returns {Promise<Passkey>}
 * @throws {Refusal} PASSKEY where the person declined or there is no prf: then a PIN it is
 */
export async function createPasskey(device, name) {
  // A digest: some systems copy passkeys elsewhere, and the service's id of the device is no business of theirs.
  const user = await sha256(bytesOf(`stadtpass passkey ${device}`));
  const made = await asked(() =>
    navigator.credentials.create({
      publicKey: {
        rp: { name: "Stadtpass" },
        user: { id: user, name, displayName: name },
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        pubKeyCredParams: [ES256, RS256].map((alg) => ({ type: "public-key", alg })),
        authenticatorSelection: {
          authenticatorAttachment: "platform",
          residentKey: "discouraged",
          userVerification: "required",
        },
        timeout: MILLISECONDS,
        extensions: { prf: {} },
      },
    }),
  );
  if (made.getClientExtensionResults().prf?.enabled !== true) throw new Refusal("PASSKEY", { fault: "no prf" });
  return freshlySalted(new Uint8Array(made.rawId));
}

/**
 * Ask the passkey for its secret.
 * @param {Passkey} passkey
 * @returns {Promise<Uint8Array<ArrayBuffer>>} 32 bytes
 * @throws {Refusal} PASSKEY
 */
export async function passkeySecret({ id, salt }) {
  const given = await asked(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        allowCredentials: [{ type: "public-key", id }],
        userVerification: "required",
        timeout: MILLISECONDS,
        extensions: { prf: { eval: { first: salt } } },
      },
    }),
  );
  const first = given.getClientExtensionResults().prf?.results?.first;
  if (!(first instanceof ArrayBuffer)) throw new Refusal("PASSKEY", { fault: "no secret" });
  return new Uint8Array(first);
}

/**
 * @param {() => Promise<Credential | null>} ask
 * @returns {Promise<PublicKeyCredential>}
 */
async function asked(ask) {
  let found;
  try {
    found = await ask();
  } catch (fault) {
    throw new Refusal("PASSKEY", { fault: fault instanceof Error ? fault.name : "" });
  }
  if (!(found instanceof PublicKeyCredential)) throw new Refusal("PASSKEY", { fault: "none" });
  return found;
}

/**
 * The passkey of this device with a fresh salt; made at the first shift that wants one.
 * @param {import("./store.js").Store} store
 * @param {string} device
 * @param {string} name what the system shows for it
 */
export async function passkeyOf(store, device, name) {
  const known = await store.get("keys", "passkey");
  if (known instanceof Uint8Array) return freshlySalted(known);
  const made = await createPasskey(device, name);
  await store.put("keys", "passkey", made.id);
  return made;
}
