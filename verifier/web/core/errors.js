// @ts-check
/** What is refused and why, by code; nothing else is thrown for what came from outside. */

/** @typedef {Record<string, string | number>} Params */

/** Something that is not accepted: a stable code, and what a sentence about it may name. */
export class Refusal extends Error {
  /**
   * @param {string} code
   * @param {Params} [params]
   */
  constructor(code, params = {}) {
    super(code);
    this.name = "Refusal";
    this.code = code;
    this.params = params;
  }
}
