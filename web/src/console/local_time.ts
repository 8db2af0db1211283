// Times as people read and write them.

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
