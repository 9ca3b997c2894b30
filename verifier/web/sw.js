// @ts-check
/// <reference lib="webworker" />
/**
 * Keeps the app on the device: exactly the files of one `files.json`, each compared with its hash, served from there
 * first. A new version waits until a person asks for it: a browser swaps workers by itself once the last page is closed,
 * so what is served is the version that was chosen, whichever worker serves it. Lists, statuses and calls of the device
 * never pass here.
 *
 * The page registers it as `sw.js?v=VERSION`: another version is another address, and so a new worker.
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const PREFIX = "stadtpass-app ";
const BASE = new URL("./", worker.location.href);
const VERSION = new URL(worker.location.href).searchParams.get("v") ?? "";
const CACHE = PREFIX + VERSION;
/** Holds the version that is served. */
const CHOICE = "stadtpass-choice";
const CHOSEN = new URL("chosen", BASE);
const LIST = "files.json";
const PAGE = "index.html";
/** The files that are served; asked anew with each page, so that all of a page is of one version. @type {Promise<Cache> | null} */
let serving = null;

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("message", (event) => {
  if (event.data === "activate") event.waitUntil(choose());
});
worker.addEventListener("fetch", (event) => {
  const path = appPath(event.request);
  if (path !== null) event.respondWith(answer(path, event.request));
});

/** Fetch all files of the version; one that is missing or differs, and nothing is installed. */
async function install() {
  const listed = await load(LIST);
  const { version, files } = await listed.clone().json();
  if (version !== VERSION) throw new Error(`version ${version} instead of ${VERSION}`);
  const cache = await caches.open(CACHE);
  // Kept from before, and perhaps what is served: going back to it changes nothing.
  if (await cache.match(new URL(LIST, BASE))) return;
  try {
    await Promise.all(Object.entries(files).map(async ([path, digest]) => {
      if (path === "sw.js") return;
      const response = await load(path);
      const data = await response.clone().arrayBuffer();
      if (hex(await crypto.subtle.digest("SHA-256", data)) !== digest) throw new Error(`hash of ${path}`);
      await cache.put(new URL(path, BASE), response);
    }));
    // Last: a cache with the list in it is whole.
    await cache.put(new URL(LIST, BASE), listed);
  } catch (fault) {
    await caches.delete(CACHE);
    throw fault;
  }
}

/** Take over the open pages; the first version chooses itself. */
async function activate() {
  if ((await chosen()) === null) await setChosen();
  await dropOthers();
  await worker.clients.claim();
}

/** A person wants this version: serve it from now on, and tell all pages. */
async function choose() {
  await setChosen();
  await worker.skipWaiting();
  await dropOthers();
  const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const page of pages) page.postMessage("chosen");
}

/** @returns {Promise<string | null>} the version that is served */
async function chosen() {
  return (await (await caches.match(CHOSEN, { cacheName: CHOICE }))?.text()) ?? null;
}

async function setChosen() {
  await (await caches.open(CHOICE)).put(CHOSEN, new Response(VERSION));
}

/** Drop the versions that are neither served nor this worker's. */
async function dropOthers() {
  const kept = [CACHE, PREFIX + (await chosen())];
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && !kept.includes(name)).map((name) => caches.delete(name)));
}

/**
 * The file of the app that is asked for; null for everything else. An address with a query is never one.
 * @param {Request} request
 */
function appPath(request) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== BASE.origin || !url.pathname.startsWith(BASE.pathname)) return null;
  const path = url.pathname.slice(BASE.pathname.length);
  if (request.mode === "navigate") return path === "" || path === PAGE ? PAGE : null;
  return url.search === "" && path !== "" && path !== "sw.js" && !path.startsWith("devices") && path !== "zones.json"
    ? path
    : null;
}

/**
 * @param {string} path
 * @param {Request} request
 */
async function answer(path, request) {
  if (path === PAGE) serving = null;
  serving ??= chosen().then((version) => caches.open(PREFIX + (version ?? VERSION)));
  const cache = await serving.catch(() => (serving = null));
  return (await cache?.match(new URL(path, BASE))) ?? fetch(request);
}

/** @param {string} path */
async function load(path) {
  const response = await fetch(new URL(path, BASE), { cache: "no-cache", credentials: "same-origin" });
  if (!response.ok || response.redirected) throw new Error(`${response.status} for ${path}`);
  return response;
}

/** @param {ArrayBuffer} data */
function hex(data) {
  return Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
