/** A set-up step that cannot go on: what happened, and what the reader can do about it. */
export class SetupFailure extends Error {
  /** @param {string} message @param {string} remedy */
  constructor(message, remedy) {
    super(message);
    this.name = 'SetupFailure';
    this.remedy = remedy;
  }
}
