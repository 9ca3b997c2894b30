// @ts-check
/** Keeping the app on the device, and new versions that wait for a tap. */

import { scriptUrl } from "../scan/script-urls.js";

const HOUR = 3_600_000;

/** @typedef {{version: string, files: Record<string, string>}} FileList */

/**
 * What this device runs: the list as it was installed, or as the server has it where nothing is installed.
 * @returns {Promise<FileList>}
 */
export async function runningFiles() {
  return readList("files.json");
}

/**
 * Install the app for offline use, look for new versions now, hourly and when the network comes back.
 * @param {(restart: () => void) => void} onWaiting called once another version than this page's is ready; ``restart`` chooses it
 * @param {() => void} onChosen called once another version was chosen, here or in another page: this page is to be loaded anew
 * @returns {Promise<void>} when the first look is over; never throws
 */
export async function watchForUpdates(onWaiting, onChosen) {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  serviceWorker.addEventListener("message", (event) => {
    if (event.data === "chosen") onChosen();
  });
  const running = await runningFiles().then(({ version }) => version, () => null);
  /** @param {ServiceWorkerRegistration} registration */
  const offer = (registration) => {
    // After the last page was closed the newest worker is active, while the version chosen before is still served.
    const newest = registration.waiting ?? registration.active;
    if (newest === null || running === null || new URL(newest.scriptURL).searchParams.get("v") === running) return;
    onWaiting(() => newest.postMessage("activate"));
  };
  /** @param {ServiceWorkerRegistration} registration */
  const follow = (registration) => {
    offer(registration);
    registration.addEventListener("updatefound", () => {
      const { installing } = registration;
      installing?.addEventListener("statechange", () => installing.state === "installed" && offer(registration));
    });
  };
  const known = await serviceWorker.getRegistration();
  if (known !== undefined) follow(known);
  const look = async () => {
    try {
      const { version } = await readList("files.json?now");
      const registration = await serviceWorker.getRegistration();
      const url = `sw.js?v=${encodeURIComponent(version)}`;
      const newest = registration?.waiting ?? registration?.active;
      if (newest?.scriptURL === new URL(url, new URL("../", import.meta.url)).href) return;
      const made = await serviceWorker.register(scriptUrl(url), { updateViaCache: "none" });
      if (made !== registration && made !== known) follow(made);
    } catch {
      // Without network the version at hand goes on.
    }
  };
  addEventListener("online", look);
  setInterval(look, HOUR);
  await look();
}

/**
 * @param {string} name
 * @returns {Promise<FileList>}
 */
async function readList(name) {
  const response = await fetch(new URL(`../${name}`, import.meta.url), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${response.status} for ${name}`);
  return response.json();
}
