// Reads something again and again: one request at a time, none while the page is hidden, and less often while the service
// asks for a pause or fails.
import { ApiError } from "../shared/api";

/** What is known of the thing that is read. */
export interface Polled<T> {
  /** The last response; undefined before the first. */
  data: T | undefined;
  /** When it came, in milliseconds since 1970. */
  at: number;
  /** Why the last attempt failed; undefined if it did not. */
  error: ApiError | undefined;
  /** When the next attempt comes after an error, in milliseconds since 1970; undefined for never. */
  nextAt: number | undefined;
}

/** What a poll needs to know of the page. */
export interface PageVisibility {
  hidden(): boolean;
  /** Calls back at each change until the signal is aborted. */
  onChange(call: () => void, signal: AbortSignal): void;
}

export interface PollOptions<T> {
  load: (signal: AbortSignal) => Promise<T>;
  /** Returns the pause before the next request in milliseconds; undefined for none. */
  every: (data: T) => number | undefined;
  show: (state: Polled<T>) => void;
  page: PageVisibility;
}

/** The longest that a response may take, in milliseconds. */
const patience = 30_000;
/** The longest pause after errors, unless the service asks for a longer one. */
const longestPause = 60_000;
/** Pauses double with each error in a row, from this one on. */
const firstPause = 2_000;

/** Reads until the signal is aborted, an error is final, or every returns undefined. */
export async function poll<T>(options: PollOptions<T>, signal: AbortSignal): Promise<void> {
  const state: Polled<T> = { data: undefined, at: 0, error: undefined, nextAt: undefined };
  let slower = 0;
  while (await untilShown(options.page, signal)) {
    let pause: number | undefined;
    let asked = false;
    try {
      state.data = await options.load(AbortSignal.any([signal, AbortSignal.timeout(patience)]));
      state.at = Date.now();
      state.error = undefined;
      pause = options.every(state.data);
      if (pause !== undefined) pause = Math.min(pause * 2 ** slower, Math.max(pause, longestPause));
      slower = Math.max(0, slower - 1);
    } catch (failure) {
      state.error = errorOf(failure);
      pause = isFinal(state.error) ? undefined : pauseAfter(state.error, slower);
      asked = state.error.retryAfter !== undefined;
      slower = Math.min(slower + 1, 5);
    }
    if (signal.aborted) return;
    state.nextAt = pause === undefined ? undefined : Date.now() + pause;
    options.show({ ...state });
    if (pause === undefined || !(await rest(pause, asked, options.page, signal))) return;
  }
}

function errorOf(failure: unknown): ApiError {
  if (failure instanceof ApiError) return failure;
  return new ApiError(0, "network", "The response of the service broke off.");
}

/** Reports whether the same request would fail again. */
function isFinal(error: ApiError): boolean {
  return error.status >= 400 && error.status < 500 && error.status !== 429 && error.status !== 408;
}

function pauseAfter(error: ApiError, slower: number): number {
  const own = Math.min(firstPause * 2 ** slower, longestPause);
  return Math.max(own, (error.retryAfter ?? 0) * 1_000);
}

/** Resolves once the page is shown; with false if the signal is aborted. */
function untilShown(page: PageVisibility, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted || !page.hidden()) return Promise.resolve(!signal.aborted);
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (go: boolean) => {
      over.abort();
      resolve(go);
    };
    signal.addEventListener("abort", () => end(false), { once: true, signal: over.signal });
    page.onChange(() => !page.hidden() && end(true), over.signal);
  });
}

/** Resolves after the pause, or earlier if the page is shown again and the service did not ask for the pause; with false
 * if the signal is aborted. */
function rest(ms: number, asked: boolean, page: PageVisibility, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (go: boolean) => {
      clearTimeout(timer);
      over.abort();
      resolve(go);
    };
    const timer = setTimeout(() => end(true), ms);
    signal.addEventListener("abort", () => end(false), { once: true, signal: over.signal });
    if (!asked) page.onChange(() => !page.hidden() && end(true), over.signal);
  });
}
