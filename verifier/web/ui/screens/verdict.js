// @ts-check
/** The verdict: sign, word, border and colour at once; then the plate or card number, the reason, what else is known. */

import { clockText, dayText } from "../../core/berlin.js";
import { ageText, listAge, message } from "../../core/verdict.js";
import { button, h, icon } from "../dom.js";

const SIGNS = /** @type {const} */ ({ GREEN: "yes", AMBER: "look", RED: "no", GREY: "unknown" });
const SECOND = 1000;
/** A second Enter of a hand scanner, or of a finger, comes sooner than anybody has read a verdict. */
const NOT_READ_YET_MS = 400;

/**
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 * @returns {import("../app.js").Screen}
 */
export function showVerdict(app, outcome) {
  const { say } = app;
  const { verdict } = outcome;
  const colour = verdict.verdict;
  const word = say(`VERDICT_${colour}`);
  const heading = h("h1", { class: "word" }, icon(SIGNS[colour]), h("span", {}, word));
  const clock = h("p", { class: "running" });
  const tick = () => (clock.textContent = clockOf(app.now));
  tick();
  const ticking = setInterval(tick, SECOND);
  const onward = keysOnward(() => app.go(app.home));
  const next = button(say("NEXT_CHECK"), () => app.go(app.home), { class: "button primary next" });
  const back = colour === "GREEN" && app.device.settings.desk ? autoReturn(app) : null;
  const sentence = h("p", { class: "sentence" }, reasonOf(verdict, say));
  // Put in empty and filled afterwards: that is what screen readers announce.
  const announced = h("div", { role: "alert" });
  queueMicrotask(() => announced.replaceChildren(heading, sentence));
  setTimeout(() => app.focusOn(heading));
  heading.setAttribute("tabindex", "-1");
  const element = h("section", { class: `verdict ${colour.toLowerCase()}`, "data-verdict": colour, "data-reason": verdict.reason },
    verdict.test && h("p", { class: "test" }, say("TEST")),
    announced,
    lookedUp(app, outcome),
    subject(app, outcome),
    choices(app, outcome),
    reminder(app, outcome),
    clock,
    facts(app, outcome),
    next,
    h("div", { class: "actions" }, copying(app, outcome), back?.element, otherWay(app, outcome)),
  );
  return {
    title: word,
    element,
    focus: heading,
    stop: () => {
      clearInterval(ticking);
      onward.stop();
      back?.stop();
    },
  };
}

/**
 * Escape leads on, and Enter where it presses no button.
 * @param {() => void} go
 */
function keysOnward(go) {
  const shown = performance.now();
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    const onward = event.key === "Escape" || (event.key === "Enter" && !(event.target instanceof HTMLButtonElement));
    if (onward && !event.repeat && event.timeStamp - shown > NOT_READ_YET_MS) go();
  };
  addEventListener("keydown", press);
  return { stop: () => removeEventListener("keydown", press) };
}

/**
 * The sentence without the word TEST, which stands above it.
 * @param {import("../../core/verdict.js").Verdict} verdict
 * @param {import("../../core/verdict.js").Say} say
 */
function reasonOf(verdict, say) {
  return message({ ...verdict, test: false }, say);
}

/**
 * That a plain number was looked up, and when: no signature was checked.
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function lookedUp({ say }, { lookUp }) {
  return lookUp && h("p", { class: "looked-up" }, say("LOOKED_UP", { time: clockText(lookUp.at) }));
}

/**
 * What the person checking compares or copies.
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function subject({ say, device }, { verdict, input, askLibrary }) {
  const number = askLibrary ? input : verdict.cardNumber;
  // Outside the library nobody knows what the number is one of.
  const label = askLibrary && !device.settings.desk ? null : h("p", { class: "label" }, say("FACT_CARD_NUMBER"));
  if (number !== null) return h("div", { class: "subject" }, label, h("p", { class: "card" }, number));
  if (verdict.plates?.length) {
    return h("ul", { class: "plates", "aria-label": say("FACT_PLATES") }, verdict.plates.map((one) => h("li", { class: "plate" }, one)));
  }
  if (verdict.organisation !== null) return h("p", { class: "card" }, verdict.organisation);
  return null;
}

/**
 * For the library's own system. It stands below the button that goes on and sticks to the screen: nothing may cover it.
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function copying({ say }, { verdict, input, askLibrary }) {
  const number = askLibrary ? input : verdict.cardNumber;
  if (number === null) return null;
  const done = h("span", { role: "status", class: "copied" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(number);
      done.textContent = say("COPIED");
    } catch {
      done.textContent = say("NOT_COPIED");
    }
  };
  return [button(say("COPY"), copy), done];
}

/**
 * Plates that may be meant, each as a button.
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function choices(app, { verdict }) {
  if (verdict.reason !== "PLATE_AMBIGUOUS") return null;
  return h("div", { class: "choices", role: "group", "aria-label": app.say("WHICH_PLATE") },
    verdict.suggestions.map((one) =>
      button(one, () => app.checkPlate(one), { class: "button plate" })));
}

/**
 * What no signature says: that is the car, that is the person.
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function reminder({ say }, { verdict, byPlate, lookUp }) {
  if (verdict.verdict !== "GREEN" && verdict.verdict !== "AMBER") return null;
  if (lookUp !== null) return h("p", { class: "remind" }, say("REMIND_NUMBER"));
  if (verdict.cardNumber !== null) return h("p", { class: "remind" }, say("REMIND_PERSON"));
  if (verdict.plates?.length && !byPlate) return h("p", { class: "remind" }, say("REMIND_PLATE"));
  if (verdict.organisation !== null) return h("p", { class: "remind" }, say("REMIND_ORGANISATION"));
  return null;
}

/**
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function facts({ say }, { verdict, input, byPlate, lookUp }) {
  const { listIssuedAt } = verdict;
  const listed = listIssuedAt === null ? "" : `${clockText(listIssuedAt)} (${ageText(listAge(verdict), say)})`;
  /** @type {[string, string | null][]} */
  const rows = [
    ["FACT_INPUT", byPlate && verdict.corrected !== null ? input : null],
    ["FACT_ZONE", verdict.zone],
    ["FACT_ORGANISATION", verdict.plates?.length ? verdict.organisation : null],
    ["FACT_CATEGORY", lookUp?.category ?? null],
    ["FACT_FROM", dayText(verdict.validFrom)],
    ["FACT_UNTIL", dayText(verdict.validUntil)],
    ["FACT_NUMBER", verdict.number],
    ["FACT_LIST", listed],
  ];
  const shown = rows.filter(([, value]) => value);
  if (!shown.length) return null;
  return h("dl", { class: "facts" }, shown.map(([code, value]) => h("div", {}, h("dt", {}, say(code)), h("dd", {}, value))));
}

/**
 * The other way to find out.
 * @param {import("../app.js").App} app
 * @param {import("../app.js").Outcome} outcome
 */
function otherWay(app, { verdict, byPlate }) {
  if (app.device.settings.desk || verdict.verdict === "GREEN") return null;
  return byPlate
    ? button(app.say("OTHER_SCAN"), () => app.go("scan"), {}, icon("scan"))
    : button(app.say("OTHER_PLATE"), () => app.go("plate"), {}, icon("plate"));
}

/**
 * The desk goes on by itself, after a valid card only; whoever needs longer stops it.
 * @param {import("../app.js").App} app
 */
function autoReturn(app) {
  let left = app.device.settings.deskSeconds;
  const label = () => app.say("DESK_RETURN", { seconds: left });
  const stay = button(label(), () => {
    clearInterval(counting);
    stay.remove();
  }, { class: "button stay" });
  const counting = setInterval(() => {
    left -= 1;
    if (left <= 0) app.go(app.home);
    else stay.replaceChildren(label());
  }, SECOND);
  return { element: stay, stop: () => clearInterval(counting) };
}

/** @param {number} now */
function clockOf(now) {
  return new Intl.DateTimeFormat("de-DE", { dateStyle: "short", timeStyle: "medium", timeZone: "Europe/Berlin" }).format(now * SECOND);
}
