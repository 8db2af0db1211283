// Durations, sizes and numbers as people read them.

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Returns a duration with at most two units, such as "0.42 s", "12 s", "3 min 5 s" or "2 h 5 min". */
export function duration(ms: number): string {
  if (!(ms > 0)) return "0 s";
  if (ms < second) return `${Math.max(1, Math.round(ms))} ms`;
  if (ms < 10 * second) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < minute) return `${Math.floor(ms / second)} s`;
  if (ms < hour) return pair(ms, minute, "min", second, "s");
  if (ms < day) return pair(ms, hour, "h", minute, "min");
  return pair(ms, day, "d", hour, "h");
}

/** Returns an age in whole seconds, which does not flicker when it is shown again each second. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / second));
  return seconds < 60 ? `${seconds} s` : duration(seconds * second);
}

function pair(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small);
  const most = `${Math.floor(ms / large)} ${largeName}`;
  return rest === 0 ? most : `${most} ${rest} ${smallName}`;
}

/** Returns a whole number with separators of thousands, or a mean with one digit. */
export function number(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}

/** Returns a count and its noun, such as "1 job" or "2 jobs". */
export function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Returns a size, such as "1.5 MiB". */
export function bytes(value: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < names.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${number(size)} ${names[unit]}`;
}

/** Returns a time of day in this browser's time zone, with the date unless that is today's. */
export function localTime(time: Date, today: Date): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  return dateOf(time) === dateOf(today) ? clock : `${dateOf(time)} ${clock}`;
}

/** Returns the hours and minutes of a time in this browser's time zone. */
export function hourAndMinute(time: Date): string {
  return `${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Returns the time, in RFC 3339, of a text such as "09:30" or "2026-01-02 09:30:15" in this browser's time zone; any
 * other text as it is, without the space around it. */
export function timeOf(text: string, today: Date): string {
  const trimmed = text.trim();
  const match = /^(?:(\d{4}-\d\d-\d\d)[ T])?(\d\d:\d\d(?::\d\d)?)$/.exec(trimmed);
  if (match === null) return trimmed;
  const time = new Date(`${match[1] ?? dateOf(today)}T${match[2]}`); // without an offset: local
  return Number.isNaN(time.getTime()) ? trimmed : time.toISOString().replace(".000", "");
}

function dateOf(time: Date): string {
  return [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
