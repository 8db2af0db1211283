import { useCallback, useEffect, useState } from "preact/hooks";
import { token, tokenRefused } from "../shared/session";
import { type PageVisibility, type Polled, poll } from "./poll";

/** The visibility of this page. */
export const thisPage: PageVisibility = {
  hidden: () => document.visibilityState === "hidden",
  onChange: (call, signal) => document.addEventListener("visibilitychange", call, { signal }),
};

/** Something that can be read again and again. Make it outside of components: a new one starts a new poll. */
export interface Source<T> {
  load: (argument: string, signal: AbortSignal) => Promise<T>;
  /** Returns the pause after a response, in milliseconds; undefined ends the poll. */
  every: (data: T) => number | undefined;
}

/** Something that is being read. */
export interface Reading<T> extends Polled<T> {
  /** Reads it again at once. */
  refresh: () => void;
}

const nothing = { data: undefined, at: 0, error: undefined, nextAt: undefined };

/** Reads a source while the component is shown, with another argument or token from the start. */
export function usePoll<T>(source: Source<T>, argument = ""): Reading<T> {
  const bearer = token.value;
  const refused = tokenRefused.value !== "";
  const key = `${bearer}\n${argument}`;
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ key: string; polled: Polled<T> }>({ key, polled: nothing });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round or token reads again
  useEffect(() => {
    if (refused) return;
    const over = new AbortController();
    const show = (polled: Polled<T>) =>
      setState((before) => ({
        key,
        // A failure at the start of a new round does not take away what is known.
        polled:
          polled.data === undefined && before.key === key ? { ...before.polled, ...errorIn(polled) } : polled,
      }));
    const load = (signal: AbortSignal) => source.load(argument, signal);
    void poll({ load, every: source.every, show, page: thisPage }, over.signal);
    return () => over.abort();
  }, [source, argument, key, refused, round]);
  const refresh = useCallback(() => setRound((before) => before + 1), []);
  return { ...(state.key === key ? state.polled : nothing), refresh };
}

function errorIn<T>({ error, nextAt }: Polled<T>): Pick<Polled<T>, "error" | "nextAt"> {
  return { error, nextAt };
}
