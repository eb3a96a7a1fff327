/** Which names somebody may have meant. @module */

/** How many to suggest. */
const MOST = 3;
/** How many letters may be wrong at most. */
const MOST_AWAY = 4;

/** The names most like a mistyped one, best first: those it begins, then those few letters away. */
export function nearest(wrong: string, names: readonly string[]): string[] {
  const allowed = Math.min(MOST_AWAY, Math.floor(wrong.length / 3));
  return names
    .map((name) => ({ name, away: name.startsWith(wrong) ? 0 : distance(wrong, name) }))
    .filter(({ name, away }) => name !== wrong && away <= allowed)
    .sort((a, b) => a.away - b.away)
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** Letters to insert, remove or replace (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
  }
  return row[b.length] ?? 0;
}
