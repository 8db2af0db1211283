// Counts of jobs by outcome, which is "ok" or the code of an error.

export type Outcomes = Readonly<Record<string, number>>;

/** An outcome and how many jobs had it. */
export interface OutcomeCount {
  outcome: string;
  jobs: number;
}

/** Returns the number of jobs. */
export function total(outcomes: Outcomes): number {
  return Object.values(outcomes).reduce((sum, jobs) => sum + jobs, 0);
}

/** Returns the number of jobs that succeeded, and that of the others. */
export function split(outcomes: Outcomes): { ok: number; other: number } {
  const ok = outcomes.ok ?? 0;
  return { ok, other: total(outcomes) - ok };
}

/** Returns the outcomes, the most frequent first. */
export function sorted(outcomes: Outcomes): OutcomeCount[] {
  return Object.entries(outcomes)
    .map(([outcome, jobs]) => ({ outcome, jobs }))
    .sort((a, b) => b.jobs - a.jobs || a.outcome.localeCompare(b.outcome));
}

/** Returns a part of a whole in percent, such as "12%"; "<1%" if it would be rounded to nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0%";
  const value = Math.round((100 * part) / whole);
  if (value === 0) return "<1%";
  return value === 100 && part < whole ? ">99%" : `${value}%`;
}

/** Returns the end of an axis: an even number that is not below the value. */
export function axisEnd(value: number): number {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((step) => step * power >= value && step * power > 1) ?? 10) * power;
}
