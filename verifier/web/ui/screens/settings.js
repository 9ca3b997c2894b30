// @ts-check
/** Settings, what the device has counted, what it runs, and deleting all of it. */

import { button, field, h } from "../dom.js";
import { LANGUAGES } from "../texts.js";
import { runningFiles } from "../updates.js";

const COLOURS = ["GREEN", "AMBER", "RED", "GREY"];

/**
 * @param {import("../app.js").App} app
 * @returns {import("../app.js").Screen}
 */
export function showSettings(app) {
  const { say } = app;
  const element = h("section", { class: "screen" },
    h("h1", {}, say("SETTINGS_TITLE")),
    languages(app),
    h("h2", {}, say("SIGNALS")),
    toggle(app, "vibration", "VIBRATION"),
    toggle(app, "sound", "SOUND", "SOUND_WARNING"),
    h("h2", {}, say("HAND_SCANNER")),
    toggle(app, "handScanner", "HAND_SCANNER_ON", "HAND_SCANNER_HINT"),
    h("h2", {}, say("DESK")),
    toggle(app, "desk", "DESK_ON", "DESK_ON_HINT"),
    amount(app, "deskSeconds", "DESK_SECONDS", 1, 60),
    h("h2", {}, say("COUNTERS")),
    counters(app),
    h("h2", {}, say("LOG")),
    amount(app, "logDays", "LOG_DAYS", 0, 30, "LOG_WARNING"),
    log(app),
    h("h2", {}, say("ABOUT")),
    about(app),
    deletion(app),
  );
  return { title: say("SETTINGS_TITLE"), element };
}

/** @param {import("../app.js").App} app */
function languages(app) {
  return h("fieldset", { class: "group" }, h("legend", {}, app.say("LANGUAGE")),
    Object.entries(LANGUAGES).map(([code, name]) => h("label", { class: "choice" },
      h("input", {
        type: "radio", name: "language", value: code, checked: app.device.settings.language === code,
        onchange: async () => {
          await app.device.change({ language: /** @type {import("../texts.js").Language} */ (code) });
          await app.translate();
          app.again();
          /** @type {HTMLElement | null} */ (document.querySelector(`input[name=language][value="${code}"]`))?.focus();
        },
      }), h("span", { lang: code === "en" ? "en" : "de" }, name))));
}

/**
 * @param {import("../app.js").App} app
 * @param {"vibration" | "sound" | "handScanner" | "desk"} name
 * @param {string} label
 * @param {string} [hint]
 */
function toggle(app, name, label, hint) {
  const id = `set-${name}`;
  return h("div", { class: "field" },
    h("label", { class: "choice" },
      h("input", {
        type: "checkbox", id, checked: app.device.settings[name], "aria-describedby": hint ? `${id}-hint` : null,
        onchange: (/** @type {Event} */ event) => void app.device.change({ [name]: /** @type {HTMLInputElement} */ (event.target).checked }),
      }), h("span", {}, app.say(label))),
    hint ? h("p", { class: "hint", id: `${id}-hint` }, app.say(hint)) : null);
}

/**
 * @param {import("../app.js").App} app
 * @param {"deskSeconds" | "logDays"} name
 * @param {string} label
 * @param {number} min
 * @param {number} max
 * @param {string} [hint]
 */
function amount(app, name, label, min, max, hint) {
  const { input, element } = field(app.say(label), {
    id: `set-${name}`, type: "number", inputmode: "numeric", min, max, value: String(app.device.settings[name]),
    onchange: () => {
      const value = Math.min(max, Math.max(min, Math.round(Number(input.value)) || min));
      input.value = String(value);
      void app.device.change({ [name]: value });
    },
  }, hint ? app.say(hint) : undefined);
  return element;
}

/** @param {import("../app.js").App} app */
function counters({ say, device }) {
  const list = h("dl", { class: "facts" });
  void device.traces.counts().then((counts) =>
    list.replaceChildren(...COLOURS.map((colour) =>
      h("div", {}, h("dt", {}, say(`VERDICT_${colour}`)), h("dd", { "data-count": colour }, String(counts[colour] ?? 0))))));
  return list;
}

/** @param {import("../app.js").App} app */
function log({ say, device }) {
  const save = async () => {
    const url = URL.createObjectURL(new Blob([await device.traces.logCsv(device.settings.logDays, say)], { type: "text/csv" }));
    h("a", { href: url, download: "stadtpass.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  const told = h("span", { role: "status" });
  return h("div", { class: "actions" }, button(say("LOG_SAVE"), save),
    button(say("LOG_CLEAR"), async () => {
      await device.traces.clearLog();
      told.textContent = say("DELETED");
    }), told);
}

/** @param {import("../app.js").App} app */
function about({ say, device }) {
  const version = h("dd", { "data-version": true }, "…");
  const table = h("dl", { class: "hashes" });
  void runningFiles().then((running) => {
    version.textContent = running.version;
    table.replaceChildren(...Object.entries(running.files).map(([path, digest]) => h("div", {}, h("dt", {}, path), h("dd", {}, digest))));
  }, () => (version.textContent = say("UNKNOWN")));
  const state = device.enrolment?.state ?? "none";
  return h("div", {},
    h("dl", { class: "facts" },
      h("div", {}, h("dt", {}, say("VERSION")), version),
      h("div", {}, h("dt", {}, say("DEVICE_ID")), h("dd", { class: "code" }, device.enrolment?.device ?? "–")),
      h("div", {}, h("dt", {}, say("DEVICE_STATE")), h("dd", {}, say(`STATE_${state.toUpperCase()}`)))),
    h("details", { class: "panel" }, h("summary", {}, say("HASHES")), h("p", { class: "hint" }, say("HASHES_HINT")), table));
}

/** @param {import("../app.js").App} app */
function deletion({ say, device }) {
  const sure = h("div", { class: "panel warning", hidden: true },
    h("p", {}, say("DELETE_SURE")),
    button(say("DELETE_YES"), async () => {
      await device.wipe();
      location.reload();
    }, { class: "button danger" }),
    button(say("CANCEL"), () => {
      sure.hidden = true;
      ask.focus();
    }));
  const ask = button(say("DELETE_ALL"), () => {
    sure.hidden = false;
    sure.querySelector("button")?.focus();
  }, { class: "button" });
  return h("div", { class: "actions" }, ask, sure);
}
