// The time of the service, as far as it is known: ages are wrong by the difference of two clocks otherwise.
import { signal } from "@preact/signals";

let difference = 0;

/** The time of the service in milliseconds since 1970; it changes each second while the page is shown. */
export const now = signal(Date.now());

/** Notes the time of the service that a response had which came now. */
export function noteServiceTime(time: string): void {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return;
  difference = at - Date.now();
  now.value = at;
}

/** Notes the header Date of a response that came now, unless the time is known as well as that: it has whole seconds. */
export function noteServiceDate(date: string | null): void {
  const at = Date.parse(date ?? "") + 500;
  if (Math.abs(at - serviceTime(Date.now())) > 2_000) noteServiceTime(new Date(at).toISOString());
}

/** Returns the time of this browser in that of the service. */
export function serviceTime(own: number): number {
  return own + difference;
}

/** Lets the clock run. */
export function runClock(): void {
  setInterval(tick, 1_000);
  document.addEventListener("visibilitychange", tick);
}

function tick(): void {
  if (document.visibilityState === "visible") now.value = serviceTime(Date.now());
}
