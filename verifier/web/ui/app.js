// @ts-check
/** The app: one screen at a time, the bar above it, the ways between screens below it. */

import { clockText } from "../core/berlin.js";
import { Refusal } from "../core/errors.js";
import { ageText } from "../core/verdict.js";
import { checkCandidates, checkTyped, checkTypedPlate } from "./checking.js";
import { openDevice } from "./device.js";
import { button, h, icon } from "./dom.js";
import { languageTag, loadTexts } from "./texts.js";
import { watchForUpdates } from "./updates.js";
import { showDesk } from "./screens/desk.js";
import { showPlate } from "./screens/plate.js";
import { showScan } from "./screens/scan.js";
import { showSettings } from "./screens/settings.js";
import { showStart } from "./screens/start.js";
import { showVerdict } from "./screens/verdict.js";

/**
 * What a screen gives back: what is shown, what gets the focus, and how to end it.
 * @typedef {{title: string, element: HTMLElement, focus?: HTMLElement, stop?: () => void}} Screen
 */
/** @typedef {import("./checking.js").Outcome} Outcome */

/** @type {Record<string, (app: App, given?: any) => Screen>} */
const SCREENS = {
  start: showStart, scan: showScan, plate: showPlate, desk: showDesk, settings: showSettings, verdict: showVerdict,
};
const WAYS = /** @type {const} */ ([["start", "shift"], ["scan", "scan"], ["plate", "plate"], ["settings", "more"]]);
/** Screens that lead to a verdict. */
const CHECKING = new Set(["scan", "plate", "desk"]);
const TYPED_INTO = "input:not([type=range], [type=checkbox], [type=radio], [type=file]), select";
const SECOND = 1000;
/** What takes longer than this is said to be under way. */
const NOTICED_MS = 300;
const BASE = new URL("../", import.meta.url);

/** State that screens share, and the way from one to the next. */
export class App {
  /** @type {import("../core/verdict.js").Say} */
  say = (code) => code;
  /** The camera, while checks go on. @type {import("./screens/scan.js").Viewfinder | null} */
  viewfinder = null;
  /** @type {Screen | null} */
  #screen = null;
  #name = "";
  /** What the screen at hand was given. @type {unknown} */
  #given;
  /** @type {(() => void) | null} */
  #restart = null;
  /** Another version was chosen: this page is loaded anew. */
  #outdated = false;
  /** Counts screens and checks: an answer that comes after another of them is dropped. */
  #turn = 0;
  #root = /** @type {HTMLElement} */ (document.getElementById("app"));
  #main = h("main", { id: "main" });
  #bar = h("header", { class: "bar" });
  #ways = h("nav", { class: "ways" });
  #notice = h("div", { class: "notice", role: "status" });
  #busy = h("p", { class: "busy", role: "status" });
  /** Where a built-in scanner's text arrives; the telephone's keyboard stays shut. */
  #ready = h("span");
  #scanned = h("input", { class: "scanned", inputmode: "none", autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
  #scanner = h("section", { class: "scanner" }, h("label", {}, this.#scanned, this.#ready));
  #clock = h("span", { class: "clock" });
  #age = h("span", { class: "age" });

  /** @param {import("./device.js").Device} device */
  constructor(device) {
    this.device = device;
  }

  /** Seconds since 1970 by this device's clock. */
  get now() {
    return Math.floor(Date.now() / SECOND);
  }

  /** Where a check begins on this device. */
  get home() {
    return this.device.settings.desk ? "desk" : "scan";
  }

  /** Show everything in the language of the settings. */
  async translate() {
    const { language } = this.device.settings;
    this.say = await loadTexts(language);
    document.documentElement.lang = languageTag(language);
    this.#frame();
  }

  /**
   * @param {keyof typeof SCREENS & string} name
   * @param {unknown} [given] what the screen needs
   * @returns {void}
   */
  go(name, given) {
    const show = SCREENS[name];
    if (show === undefined) throw new Error(`no screen ${name}`);
    if (this.#outdated && name !== "verdict") return location.reload();
    // At the desk there is nothing but cards.
    if (name === "plate" && this.device.settings.desk) return this.go("desk");
    if (CHECKING.has(name) && this.device.zoneMissing) return this.#askZone();
    this.#turn += 1;
    this.#busy.textContent = "";
    this.#screen?.stop?.();
    if (name === "verdict") this.viewfinder?.pause();
    else if (name !== this.home) this.closeCamera();
    this.#name = name;
    this.#given = given;
    document.body.dataset["screen"] = name;
    const screen = show(this, given);
    this.#screen = screen;
    this.#main.replaceChildren(screen.element);
    document.title = `${screen.title} – ${this.say("APP_NAME")}`;
    this.#frame();
    scrollTo(0, 0);
    this.#main.scrollTop = 0;
    const focus = screen.focus ?? screen.element.querySelector("h1");
    if (focus?.matches("h1")) focus.setAttribute("tabindex", "-1");
    this.focusOn(focus);
  }

  /**
   * Give the focus to what a screen has chosen, or to where scans arrive where that is only a heading.
   * @param {HTMLElement | null} [chosen]
   */
  focusOn(chosen) {
    const wanted = this.#takesScans && !chosen?.matches(TYPED_INTO) ? this.#scanned : chosen;
    wanted?.focus({ preventScroll: true });
  }

  /** Whether what a built-in scanner puts in is taken by the screen at hand. */
  get #takesScans() {
    return this.device.settings.handScanner && (CHECKING.has(this.#name) || this.#name === "verdict");
  }

  /** After a tap the next scan arrives again; a keyboard's user, or whoever types into a field, keeps the focus. */
  awaitScan() {
    if (!document.activeElement?.matches(TYPED_INTO)) this.focusOn(null);
  }

  closeCamera() {
    this.viewfinder?.close();
    this.viewfinder = null;
  }

  /** Draw the screen at hand anew, because something it shows has changed: focus and place stay. */
  again() {
    if (this.#name === "verdict") return;
    const held = document.activeElement;
    const { scrollTop } = this.#main;
    this.go(this.#name, this.#given);
    this.#main.scrollTop = scrollTop;
    const same = [...this.#root.querySelectorAll(held?.tagName ?? "h1")].find((one) =>
      held?.id ? one.id === held.id : one.textContent === held?.textContent);
    if (same instanceof HTMLElement) same.focus({ preventScroll: true });
  }

  /**
   * Show a verdict; it counts now.
   * @param {Outcome} outcome
   */
  async conclude(outcome) {
    this.go("verdict", outcome);
    await this.device.record(outcome.verdict);
  }

  /**
   * Check what a scanner or camera has read: the spelling that verifies counts.
   * @param {string[]} candidates
   * @param {import("../core/scanned-cards.js").Symbology | null} [symbology]
   */
  async check(candidates, symbology = null) {
    if (this.#invited(candidates)) return;
    if (this.device.zoneMissing) return this.#askZone();
    await this.#concludeInTurn(checkCandidates(this.device, candidates, this.now, symbology));
  }

  /**
   * Check what a person has typed: a code, a plate or a number.
   * @param {string} text
   */
  async checkTyped(text) {
    if (this.#invited([text])) return;
    if (this.device.zoneMissing) return this.#askZone();
    await this.#concludeInTurn(checkTyped(this.device, text, this.now));
  }

  /**
   * Show what a check comes to, unless somebody has gone on meanwhile.
   * @param {Promise<Outcome>} checking
   */
  async #concludeInTurn(checking) {
    this.#turn += 1;
    const turn = this.#turn;
    const noticed = setTimeout(() => {
      if (turn === this.#turn) this.#busy.textContent = this.say("LOOKING_UP");
    }, NOTICED_MS);
    try {
      const outcome = await checking;
      if (turn === this.#turn) await this.conclude(outcome);
    } finally {
      clearTimeout(noticed);
      if (turn === this.#turn) this.#busy.textContent = "";
    }
  }

  /**
   * Check a plate that a person has typed or chosen.
   * @param {string} plate
   */
  async checkPlate(plate) {
    if (this.device.zoneMissing) return this.#askZone();
    await this.conclude(await checkTypedPlate(this.device, plate, this.now));
  }

  #askZone() {
    this.go("start", { askZone: true });
  }

  /**
   * Whether an invitation of this service was read: then enrolling is shown. The telephone's own camera would open it in a
   * browser that shares nothing with an app on the Home Screen.
   * @param {string[]} texts
   */
  #invited(texts) {
    const links = texts.filter((text) => URL.canParse(text)).map((text) => new URL(text));
    const link = links.find((one) => one.origin === BASE.origin && one.pathname === BASE.pathname && one.hash.startsWith("#enrol="));
    if (!link) return false;
    history.replaceState(null, "", link.hash);
    this.go("start");
    return true;
  }

  /** @param {() => void} restart */
  offerUpdate(restart) {
    this.#restart = restart;
    this.#frame();
  }

  /** Load the app anew: another version was chosen. A verdict that is shown stays until it is left. */
  renew() {
    this.#outdated = true;
    if (this.#name !== "verdict") location.reload();
  }

  /** Clock and age in the bar; called each second. */
  tick() {
    const issued = this.device.oldestList;
    this.#clock.textContent = clockText(this.now).slice(-5);
    this.#age.textContent =
      issued === null ? this.say("LISTS_NONE") : this.say("LISTS_AGE", { age: ageText(Math.max(0, this.now - issued), this.say) });
    this.#bar.dataset["lists"] = this.device.listState(this.now);
  }

  #frame() {
    const { say } = this;
    if (!this.#bar.isConnected) this.#root.replaceChildren(this.#bar, this.#notice, this.#busy, this.#main, this.#scanner, this.#ways);
    this.#scanner.hidden = !this.#takesScans;
    this.#scanner.setAttribute("aria-label", say("HAND_SCANNER"));
    this.#ready.textContent = say("HAND_SCANNER");
    const test = this.device.trust?.test ?? false;
    this.#bar.replaceChildren(
      h("p", { class: "city" }, this.device.city || say("APP_NAME")),
      h("p", { class: "standing" }, this.#age, this.#clock),
      ...(test ? [h("p", { class: "test" }, say("TEST"))] : []),
    );
    this.#notice.replaceChildren(
      ...(this.device.storageRefuses ? [h("p", { class: "warning" }, say("HELP_STORAGE_REFUSES"))] : []),
      ...(this.#restart === null || this.#name === "verdict" ? [] : [button(say("UPDATE_READY"), this.#restart, { class: "button update" })]),
    );
    this.#ways.setAttribute("aria-label", say("WAYS"));
    this.#ways.hidden = this.#name === "verdict" || this.#name === "desk";
    this.#ways.replaceChildren(
      ...WAYS.filter(([name]) => name !== "plate" || !this.device.settings.desk).map(([name, sign]) =>
        h("button", {
          type: "button",
          class: "way",
          "aria-current": this.#name === name ? "page" : null,
          onclick: () => this.go(name === "scan" ? this.home : name),
        }, icon(sign), h("span", {}, say(`WAY_${name.toUpperCase()}`)))),
    );
    this.tick();
  }
}

/** Start: what is on the device first, the network afterwards. */
async function start() {
  const device = await openDevice();
  const app = new App(device);
  await app.translate();
  const waiting = location.hash.startsWith("#enrol=") || device.enrolment?.state === "pending" || device.zoneMissing;
  app.go(device.isReady && !waiting ? app.home : "start");
  setInterval(() => app.tick(), SECOND);
  addEventListener("hashchange", () => location.hash.startsWith("#enrol=") && app.go("start"));
  // A click by the keyboard has no detail: there the focus stays.
  addEventListener("click", (event) => event.detail > 0 && setTimeout(() => app.awaitScan()));
  device.onScanned((candidates) => void app.check(candidates));
  const renew = () => {
    // What somebody is typing stays; a screen that changes under a finger helps nobody.
    const typing = document.activeElement instanceof HTMLInputElement;
    if (document.body.dataset["screen"] === "start" && !typing) app.again();
    else app.tick();
  };
  device.onChange(renew);
  void watchForUpdates((restart) => app.offerUpdate(restart), () => app.renew());
  void navigator.serviceWorker?.ready.then(renew);
  device.keepFresh();
}

try {
  await start();
} catch (fault) {
  if (!(fault instanceof Refusal)) throw fault;
  const say = await loadTexts("de");
  document.querySelector("main")?.replaceChildren(h("h1", {}, say("APP_NAME")), h("p", { role: "alert" }, say("STORAGE_FAULT")));
}
