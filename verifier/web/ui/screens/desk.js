// @ts-check
/** The library's desk: nothing but the next card. */

import { button, h } from "../dom.js";
import { typeIn, viewfinder } from "./scan.js";

/**
 * @param {import("../app.js").App} app
 * @returns {import("../app.js").Screen}
 */
export function showDesk(app) {
  const { say } = app;
  const element = h("section", { class: "screen desk" },
    h("h1", {}, say("DESK_TITLE")),
    h("p", { class: "hint" }, say("DESK_HINT")),
    viewfinder(app, { oneDimensional: true }),
    typeIn(app, say("DESK_TYPE_LABEL"), say(app.device.looksUp ? "DESK_TYPE_LOOKS_UP" : "DESK_TYPE_HINT")),
    button(say("DESK_LEAVE"), () => app.go("settings"), { class: "button quiet" }),
  );
  return { title: say("DESK_TITLE"), element };
}
