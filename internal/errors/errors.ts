/** What every room throws, and the one way to put it into words. @module */

/** An error a person can act on: `message` names the thing, `hint` the remedy. */
export class ThawError extends Error {
  override name = "ThawError";
  /** What to do about it; printed after the message, on the same line. */
  readonly hint: string | undefined;
  constructor(message: string, options: ErrorOptions & { hint?: string } = {}) {
    super(message, options);
    this.hint = options.hint;
  }
}

/** A termination signal reached thaw; everything made so far is being undone. */
export class InterruptedError extends ThawError {
  override name = "InterruptedError";
  /** The signal's name, such as `SIGTERM`. */
  readonly signal: string;
  constructor(signal: string, doing: string, options: { hint?: string } = {}) {
    super(`${doing}: interrupted by ${signal}`, options);
    this.signal = signal;
  }
}

/**
 * An error and its causes as one line, outermost first, joined with ": " like Go's `%w`;
 * then the hints, innermost first.
 *
 * @param error anything that was thrown
 * @returns one line without a final newline
 */
export function describe(error: unknown): string {
  const hints: string[] = [];
  const text = chain(error, hints);
  return [text, ...hints]
    .join("; ")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
}

function chain(error: unknown, hints: string[]): string {
  // A SuppressedError's own message is empty; what failed first is told first.
  if (error instanceof SuppressedError) {
    const first = chain(error.suppressed, hints);
    return `${first}; then, cleaning up: ${chain(error.error, hints)}`;
  }
  if (!(error instanceof Error)) return String(error);
  if (error instanceof ThawError && error.hint !== undefined) hints.unshift(error.hint);
  return error.cause === undefined
    ? error.message
    : `${error.message}: ${chain(error.cause, hints)}`;
}

/** The first error of a chain that is an instance of `type`, looking behind clean-up errors too. */
export function findCause<T extends Error>(
  error: unknown,
  type: new (...args: never[]) => T,
): T | undefined {
  if (error instanceof type) return error;
  if (error instanceof SuppressedError) return findCause(error.suppressed, type);
  return error instanceof Error ? findCause(error.cause, type) : undefined;
}
