// @ts-check
/** Start of a shift: is this device ready, for which zone, under which key. */

import { clockText } from "../../core/berlin.js";
import { button, field, h, icon } from "../dom.js";

const POLL = 5000;
/** @type {Record<string, string>} */
const ENROL_FAULTS = { NO_ANSWER: "ENROL_FAULT_NETWORK", OTHER_ROOT: "ENROL_FAULT_ROOT" };
/** What the office says of a device that it gives no key. @type {Record<string, string>} */
const DEVICE_FAULTS = {
  DEVICE_CLOCK: "HELP_CLOCK", DEVICE_LOCKED: "DEVICE_LOCKED", DEVICE_UNKNOWN: "DEVICE_UNKNOWN", DEVICE_PENDING: "PENDING_HINT",
  DEVICE_LEASE: "VAULT_LEASE",
};
/** Said by itself, not with the others of its line: it is no matter of installing the app. */
const STORAGE_REFUSES = "STORAGE_REFUSES";
const SIGNS = /** @type {const} */ ({ yes: "yes", warn: "look", no: "no" });

/**
 * @param {import("../app.js").App} app
 * @param {{fault?: string, askZone?: boolean}} [given] why the plate list did not open; that a check waits for the zone
 * @returns {import("../app.js").Screen}
 */
export function showStart(app, { fault, askZone = false } = {}) {
  const { say, device } = app;
  const tests = h("ul", { class: "tests", "aria-busy": "true" }, h("li", {}, say("TESTING")));
  let over = false;
  void device.selfTest().then((results) => {
    if (!over) tests.replaceChildren(...results.map((one) => testLine(app, one)));
    tests.removeAttribute("aria-busy");
  });
  const told = h("p", { class: "refreshed", role: "status" }, device.lastRefresh ? say(`REFRESH_${device.lastRefresh.toUpperCase()}`) : "");
  const refresh = async () => {
    told.textContent = say("REFRESHING");
    const outcome = await device.refresh();
    if (!over) app.go("start");
    told.textContent = say(`REFRESH_${outcome.toUpperCase()}`);
  };
  const enrolment = enrolmentPart(app);
  const zone = zonePart(app, askZone);
  const select = askZone && device.zoneMissing ? zone?.querySelector("select") : null;
  const element = h("section", { class: "screen" },
    h("h1", {}, say("START_TITLE")),
    enrolment.element,
    unlockPart(app, fault),
    zone,
    h("h2", {}, say("READY_TITLE")),
    tests,
    told,
    h("div", { class: "actions" },
      button(say("BEGIN"), () => app.go(app.home), { class: "button primary" }),
      button(say("REFRESH"), () => void refresh())),
  );
  return {
    title: say("START_TITLE"),
    element,
    ...(select ? { focus: select } : {}),
    stop: () => {
      over = true;
      enrolment.stop();
    },
  };
}

/**
 * @param {import("../app.js").App} app
 * @param {import("../../device/readiness.js").Readiness} result
 */
function testLine({ say }, { check, ok, detail }) {
  const name = check.toUpperCase();
  const help = detail === STORAGE_REFUSES ? detail : name;
  return h("li", { class: `test-${ok}`, "data-check": check, "data-ok": ok },
    icon(SIGNS[ok]),
    h("div", {},
      h("p", {}, h("strong", {}, say(`CHECK_${name}`)), ": ", say(`OK_${ok.toUpperCase()}`)),
      ok === "yes" ? null : h("p", { class: "hint" }, say(`HELP_${help}`))));
}

/**
 * Enrolling: by the link of the invitation; then the number that whoever invited compares.
 * @param {import("../app.js").App} app
 */
function enrolmentPart(app) {
  const { say, device } = app;
  let polling = 0;
  const stop = () => clearInterval(polling);
  const { enrolment } = device;
  if (enrolment?.state === "active") {
    return { element: h("p", { class: "device" }, say("DEVICE_ACTIVE", { name: enrolment.name ?? "", role: say(`ROLE_${(enrolment.role ?? "warden").toUpperCase()}`) })), stop };
  }
  if (enrolment?.state === "locked") return { element: h("p", { class: "warning", role: "status" }, say("DEVICE_LOCKED")), stop };
  if (enrolment?.state === "pending") {
    polling = window.setInterval(() => void device.askSelf(), POLL);
    return {
      element: h("div", { class: "panel", role: "status" },
        h("h2", {}, say("PENDING_TITLE")), h("p", {}, say("PENDING_HINT")),
        h("p", { class: "check-code" }, enrolment.checkCode ?? "")),
      stop,
    };
  }
  const fault = h("p", { class: "warning", role: "alert" });
  /** @param {string} link */
  const enrol = async (link) => {
    fault.textContent = "";
    try {
      await device.enrol(link.trim());
      history.replaceState(null, "", location.pathname);
      app.go("start");
    } catch (refusal) {
      const code = Reflect.get(Object(refusal), "code");
      if (typeof code !== "string") throw refusal;
      fault.textContent = say(ENROL_FAULTS[code] ?? "ENROL_FAULT_INVITATION");
    }
  };
  if (location.hash.startsWith("#enrol=")) {
    return {
      element: h("div", { class: "panel" }, h("h2", {}, say("ENROL_TITLE")), h("p", {}, say("ENROL_INVITED")),
        button(say("ENROL"), () => void enrol(location.href), { class: "button primary" }), fault),
      stop,
    };
  }
  const { input, element } = field(say("ENROL_LINK"), { id: "enrol-link", type: "url", autocomplete: "off", spellcheck: "false" }, say("ENROL_LINK_HINT"));
  return {
    element: h("details", { class: "panel" }, h("summary", {}, say("ENROL_TITLE")), h("p", {}, say("ENROL_WHY")),
      h("form", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); void enrol(input.value); } }, element,
        button(say("ENROL"), () => undefined, { type: "submit" })), fault),
    stop,
  };
}

/**
 * The plate list lies encrypted on the device: opening it with PIN or passkey.
 * @param {import("../app.js").App} app
 * @param {string} [told] why it did not open before
 */
function unlockPart(app, told = "") {
  const { say, device } = app;
  if (device.enrolment?.state !== "active" || device.role !== "warden") return null;
  const { state, until, method, offered } = device.vault;
  if (state === "open") {
    return h("div", { class: "panel", "data-vault": state },
      h("p", {}, say("VAULT_OPEN", { until: until === null ? "" : clockText(until) })),
      button(say("VAULT_LOCK"), async () => { await device.lock(); app.go("start"); }));
  }
  const fresh = state !== "locked";
  const passkey = fresh ? offered : method === "passkey";
  const fault = h("p", { class: "warning", role: "alert" });
  // Put in empty and filled afterwards: that is what screen readers announce.
  queueMicrotask(() => (fault.textContent = told));
  const pin = { type: "password", inputmode: "numeric", pattern: "[0-9]*", minlength: 6, maxlength: 12, autocomplete: "off" };
  const first = field(fresh ? say("PIN_NEW") : say("PIN"), { id: "pin", ...pin }, fresh ? say("PIN_HINT") : undefined);
  const second = fresh ? field(say("PIN_AGAIN"), { id: "pin-again", ...pin }) : null;
  /** @param {() => Promise<void>} open */
  const attempt = async (open) => {
    fault.textContent = "";
    try {
      await open();
      // Whoever has gone on meanwhile is left there.
      if (document.body.dataset["screen"] === "start") app.go("start");
    } catch (refusal) {
      const code = Reflect.get(Object(refusal), "code");
      if (typeof code !== "string") throw refusal;
      if (device.enrolment?.state === "locked") return app.go("start");
      const sentence = vaultFault(say, code, refusal);
      // The form is another one now, and is drawn again as the vault changes: the sentence stays with the screen.
      if (document.body.dataset["screen"] === "start" && (fresh || code === "VAULT_EMPTY" || !fault.isConnected)) return app.go("start", { fault: sentence });
      first.input.value = "";
      fault.textContent = sentence;
      first.input.focus();
    }
  };
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    const value = first.input.value;
    if (!/^[0-9]{6,12}$/.test(value)) fault.textContent = say("PIN_SHORT");
    else if (second !== null && second.input.value !== value) fault.textContent = say("PIN_DIFFERS");
    else void attempt(() => (fresh ? device.beginShift({ pin: value }) : device.unlock({ pin: value })));
  };
  // Its own sentences: the browser's would vanish, and speak the browser's language.
  return h("form", { class: "panel", "data-vault": state, novalidate: true, onsubmit: submit },
    h("h2", {}, say(fresh ? "SHIFT_NEW" : "SHIFT_UNLOCK")),
    state === "expired" ? h("p", {}, say("SHIFT_EXPIRED")) : null,
    first.element, second?.element ?? null,
    button(say(fresh ? "SHIFT_BEGIN" : "UNLOCK"), () => undefined, { type: "submit", class: "button primary" }),
    passkey ? button(say("PASSKEY"), () => void attempt(() => (fresh ? device.beginShift({ passkey: true }) : device.unlock({ passkey: true })))) : null,
    fault);
}

/**
 * The zone of the shift; what is checked counts for it until another is chosen. A device enrolled for zones must choose one
 * of them (`Device.zoneMissing`).
 * @param {import("../app.js").App} app
 * @param {boolean} asked whether a check waits for it
 */
function zonePart({ say, device }, asked) {
  if (device.settings.desk || device.role === "librarian") return null;
  const zones = device.zones;
  const chosen = device.settings.zone;
  const bound = device.isBound;
  const options = [
    h("option", { value: "" }, say(bound ? "ZONE_CHOOSE" : "ZONE_ALL")),
    ...zones.map(({ code, name }) => h("option", { value: code }, `${code} – ${name}`)),
  ];
  if (chosen && !bound && !zones.some(({ code }) => code === chosen)) options.push(h("option", { value: chosen }, chosen));
  const missing = h("p", { class: "warning", id: "zone-missing", role: "alert" });
  // Put in empty and filled afterwards: that is what screen readers announce.
  if (asked && device.zoneMissing) queueMicrotask(() => (missing.textContent = say("ZONE_MISSING")));
  const change = () => {
    missing.textContent = "";
    void device.change({ zone: select.value || null });
  };
  const select = h("select", { id: "zone", class: "input", required: bound, "aria-describedby": "zone-missing", onchange: change }, ...options);
  select.value = device.zoneMissing ? "" : (chosen ?? "");
  return h("div", { class: "field" }, h("label", { for: "zone" }, say("ZONE")), select, missing);
}

/**
 * @param {import("../../core/verdict.js").Say} say
 * @param {string} code
 * @param {unknown} refusal
 */
function vaultFault(say, code, refusal) {
  const { left = "", problem = "" } = /** @type {{params?: Record<string, string | number>}} */ (refusal).params ?? {};
  const known = DEVICE_FAULTS[problem];
  if (known !== undefined) return say(known);
  if (code === "PIN_WRONG") return say("PIN_WRONG", { left });
  if (code === "PIN_FORM") return say("PIN_SHORT");
  if (code === "VAULT_EMPTY") return say("VAULT_GONE");
  if (code === "NO_ANSWER") return say("VAULT_NETWORK");
  return say("VAULT_FAILED", { code });
}
