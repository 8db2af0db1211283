// Numbers with units, as text.

/** Returns milliseconds as a text, such as "0.4 ms", "420 ms", "3.25 s" or "2 min 5 s". */
export function duration(ms: number): string {
  if (ms < 0.05) return "0 ms";
  if (ms < 10) return `${trim(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 99_995) return `${trim((ms / 1000).toFixed(2))} s`;
  return inUnits(Math.round(ms / 1000));
}

/** Returns an age in whole seconds, which does not flicker when it is shown again each second. */
export function age(ms: number): string {
  return inUnits(Math.max(0, Math.floor(ms / 1000)));
}

const units = [
  { name: "d", seconds: 86_400 },
  { name: "h", seconds: 3_600 },
  { name: "min", seconds: 60 },
  { name: "s", seconds: 1 },
];

/** Returns whole seconds in the largest unit and the next one. */
function inUnits(seconds: number): string {
  const first = units.findIndex((unit) => seconds >= unit.seconds);
  if (first < 0) return "0 s";
  let rest = seconds;
  const parts = [];
  for (const unit of units.slice(first, first + 2)) {
    const whole = Math.floor(rest / unit.seconds);
    if (whole > 0) parts.push(`${whole} ${unit.name}`);
    rest %= unit.seconds;
  }
  return parts.join(" ");
}

/** Returns a number of bytes as a text, such as "1 byte", "1.5 KiB" or "700 MiB". */
export function bytes(count: number): string {
  if (count < 1024) return count === 1 ? "1 byte" : `${count} bytes`;
  let value = count;
  let unit = "";
  for (unit of ["KiB", "MiB", "GiB"]) {
    value /= 1024;
    if (value < 1023.95) break;
  }
  return `${trim(value.toFixed(1))} ${unit}`;
}

/** Returns a number with its thousands apart and one digit behind the point at most, such as "12,345". */
export function count(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 1 });
}

/** Returns the number with its noun, such as "1 item" or "2,000 items". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Returns a time of the contract in the browser's own zone, such as "2026-01-02 03:04:05.678"; the text itself if it is
 * no time. */
export function localTime(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  return `${dateOf(date)} ${clockOf(date)}.${digits(date.getMilliseconds(), 3)}`;
}

/** Returns the date of a time in the browser's own zone, such as "2026-01-02". */
export function dateOf(time: Date): string {
  return [time.getFullYear(), digits(time.getMonth() + 1), digits(time.getDate())].join("-");
}

/** Returns the time of day in the browser's own zone, such as "03:04:05". */
export function clockOf(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((each) => digits(each)).join(":");
}

function digits(value: number, length = 2): string {
  return String(value).padStart(length, "0");
}

function trim(fixed: string): string {
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}
