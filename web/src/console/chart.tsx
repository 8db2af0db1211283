import { useState } from "preact/hooks";
import type { Schemas } from "../shared/api";
import { count, counted } from "../shared/format";
import { List } from "./list";
import { hourAndMinute } from "./local_time";
import { axisEnd, split, total } from "./outcomes";

type Minutes = Schemas["Activity"]["minutes"];

/** The size of the picture in its own units, and the width of a bar with its gap. */
const height = 100;
const step = 10;
const bar = 8;

/** Shows the jobs that ended in each minute of the last hour, as bars and, on demand, as a table. */
export function Chart({ minutes }: { minutes: Minutes }) {
  const end = axisEnd(Math.max(0, ...minutes.map(({ jobs }) => total(jobs))));
  return (
    <figure class="chart">
      <div class="plot">
        <div class="axis" aria-hidden="true">
          <span>{count(end)}</span>
          <span>{count(end / 2)}</span>
          <span>0</span>
        </div>
        <svg
          viewBox={`0 0 ${minutes.length * step} ${height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={summary(minutes)}
        >
          <path class="grid" d={`M0 ${height / 2}H${minutes.length * step}`} />
          {minutes.map(({ at, jobs }, index) => (
            <Bar
              key={at}
              at={at}
              jobs={jobs}
              end={end}
              x={index * step}
              isOpen={index === minutes.length - 1}
            />
          ))}
        </svg>
      </div>
      <figcaption>
        <span>{hourAndMinute(new Date(minutes[0]?.at ?? 0))}</span>
        <span class="legend">
          <span class="key ok">succeeded</span> <span class="key other">failed or cancelled</span>
        </span>
        <span>{hourAndMinute(new Date(minutes.at(-1)?.at ?? 0))}</span>
      </figcaption>
      <MinutesTable minutes={minutes} />
    </figure>
  );
}

interface BarProps {
  at: string;
  jobs: Readonly<Record<string, number>>;
  end: number;
  x: number;
  /** Whether the minute is the current one. */
  isOpen: boolean;
}

function Bar({ at, jobs, end, x, isOpen }: BarProps) {
  const { ok, other } = split(jobs);
  if (ok + other === 0) return null;
  const tall = (value: number) => (height * value) / end;
  return (
    <g class={isOpen ? "open" : undefined}>
      <title>{`${hourAndMinute(new Date(at))}: ${ok} succeeded, ${other} failed or cancelled`}</title>
      <rect class="ok" x={x + 1} y={height - tall(ok)} width={bar} height={tall(ok)} />
      <rect class="other" x={x + 1} y={height - tall(ok + other)} width={bar} height={tall(other)} />
    </g>
  );
}

function summary(minutes: Minutes): string {
  const sums = minutes.map(({ jobs }) => total(jobs));
  const all = sums.reduce((a, b) => a + b, 0);
  const most = Math.max(0, ...sums);
  return `Jobs that ended in each of the last ${minutes.length} minutes: ${count(all)} together, at most ${count(most)} in a minute. The table below has the numbers.`;
}

function MinutesTable({ minutes }: { minutes: Minutes }) {
  const [isOpen, setOpen] = useState(false);
  const busy = minutes.filter(({ jobs }) => total(jobs) > 0).toReversed();
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {isOpen ? (
        <List label="Jobs per minute">
          <table aria-label="Jobs per minute">
            <thead>
              <tr>
                <th scope="col">Minute</th>
                <th scope="col">Succeeded</th>
                <th scope="col">Failed or cancelled</th>
              </tr>
            </thead>
            <tbody>
              {busy.map(({ at, jobs }) => (
                <tr key={at}>
                  <th scope="row">{hourAndMinute(new Date(at))}</th>
                  <td class="number">{count(split(jobs).ok)}</td>
                  <td class="number">{count(split(jobs).other)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p class="note">{counted(minutes.length - busy.length, "minute")} without an end are left out.</p>
        </List>
      ) : null}
    </details>
  );
}
