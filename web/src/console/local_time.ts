// Times as people read and write them.
import { clockOf, dateOf } from "../shared/format";

/** Returns a time of day in this browser's time zone, with the date unless that is today's. */
export function localTime(time: Date, today: Date): string {
  return dateOf(time) === dateOf(today) ? clockOf(time) : `${dateOf(time)} ${clockOf(time)}`;
}

/** Returns the hours and minutes of a time in this browser's time zone. */
export function hourAndMinute(time: Date): string {
  return clockOf(time).slice(0, "00:00".length);
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
