// Numbers with units, as text.

/** Returns milliseconds as a text, such as "0.4 ms", "420 ms", "3.25 s" or "2 min 5 s". */
export function duration(ms: number): string {
  if (ms < 0.05) return "0 ms";
  if (ms < 10) return `${trim(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 99_995) return `${trim((ms / 1000).toFixed(2))} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
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

/** Returns a number with its thousands apart, such as "12,345". */
export function count(value: number): string {
  return value.toLocaleString("en-US");
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
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function trim(fixed: string): string {
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}
