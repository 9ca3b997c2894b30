// @ts-check
/** Elements without markup in strings: nothing here can be read as HTML. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. Functions among ``props`` become listeners (``onclick``), booleans set or leave out the attribute, ``value``
 * and ``checked`` are properties, everything else is an attribute.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "value" || name === "checked") Reflect.set(element, name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter(isShown).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * @param {Child} child
 * @returns {child is Node | string | number}
 */
function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

const SVG = "http://www.w3.org/2000/svg";

/** Shapes on a field of 24 by 24, told apart without colour: outline, then sign. */
const ICONS = /** @type {const} */ ({
  yes: ["M12 1.5a10.5 10.5 0 1 0 0 21a10.5 10.5 0 0 0 0-21z", "M6.5 12.5l3.8 3.8l7.4-8"],
  look: ["M12 1.8L23 21.5H1z", "M12 8.5v6.3M12 17.6v1.2"],
  no: ["M7.5 1.5h9l6 6v9l-6 6h-9l-6-6v-9z", "M7.7 7.7l8.6 8.6M16.3 7.7l-8.6 8.6"],
  unknown: ["M3.5 2.5h17a1 1 0 0 1 1 1v17a1 1 0 0 1-1 1h-17a1 1 0 0 1-1-1v-17a1 1 0 0 1 1-1z",
    "M8.7 9.2a3.4 3.4 0 1 1 4.9 3c-1 .6-1.6 1.2-1.6 2.4M12 17.3v1.2"],
  shift: ["", "M12 3v9M7 5.5a8.3 8.3 0 1 0 10 0"],
  scan: ["", "M3 8V4.5A1.5 1.5 0 0 1 4.5 3H8M16 3h3.5A1.5 1.5 0 0 1 21 4.5V8M21 16v3.5a1.5 1.5 0 0 1-1.5 1.5H16M8 21H4.5A1.5 1.5 0 0 1 3 19.5V16M7 12h10"],
  plate: ["", "M2.5 7h19v10h-19zM6 7v10M9 12h2M13 12h5"],
  more: ["", "M4 6.5h16M4 12h16M4 17.5h16"],
});

/**
 * A sign for the eye alone; the word beside it says the same.
 * @param {keyof typeof ICONS} name
 */
export function icon(name) {
  const [outline, sign] = ICONS[name];
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" })) {
    svg.setAttribute(key, value);
  }
  for (const [shape, part] of [[outline, "outline"], [sign, "sign"]]) {
    if (!shape || !part) continue;
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    path.setAttribute("class", part);
    svg.append(path);
  }
  return svg;
}

/**
 * A large button.
 * @param {string} label
 * @param {(event: Event) => unknown} onclick
 * @param {Record<string, unknown>} [props]
 * @param {...Child} before
 */
export function button(label, onclick, props = {}, ...before) {
  return h("button", { type: "button", class: "button", onclick, ...props }, ...before, h("span", {}, label));
}

/**
 * An input with its label above and a hint that is read out with it.
 * @param {string} label
 * @param {Record<string, unknown> & {id: string}} props
 * @param {string} [hint]
 */
export function field(label, props, hint) {
  const input = h("input", { class: "input", "aria-describedby": hint ? `${props.id}-hint` : null, ...props });
  const parts = [h("label", { for: props.id }, label), hint ? h("p", { class: "hint", id: `${props.id}-hint` }, hint) : null, input];
  return { input, element: h("div", { class: "field" }, ...parts) };
}
