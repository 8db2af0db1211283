// The client of the contract (api/openapi.yaml). Every request of the pages goes through it.
import type { components } from "./contract";
import { parseResponse } from "./job_source";
import { token, tokenRefused } from "./session";

export type Schemas = components["schemas"];
export type Job = Schemas["Job"];
export type JobSummary = Schemas["JobSummary"];
export type ErrorBody = Schemas["Error"];
export type ExecuteRequest = Schemas["ExecuteRequest"];

/** A response that is an error, or no response at all (status 0, code "network"). */
export class ApiError extends Error {
  readonly status: number;
  /** The code for programs, such as "queue_full". */
  readonly code: string;
  /** The body of the response, if the service sent one. */
  readonly body: ErrorBody | undefined;
  /** Seconds to wait before another attempt; undefined if the service did not ask for a pause. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, body?: ErrorBody, retryAfter?: number) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

/** Reports whether a failure is that of a request which was aborted. */
export function isAbort(failure: unknown): boolean {
  return failure instanceof DOMException && failure.name === "AbortError";
}

export interface RequestOptions {
  method?: "GET" | "POST" | "DELETE";
  /** Query parameters; those that are undefined or empty are left out. */
  query?: Record<string, string | number | readonly string[] | undefined>;
  headers?: Record<string, string>;
  /** The body: a FormData, a Blob, or a value that is sent as JSON. */
  body?: unknown;
  signal?: AbortSignal;
}

/** Sends a request and returns the response if its status is 2xx; otherwise it throws an ApiError. An abort of the
 * signal is thrown as the browser reports it (a DOMException with the name AbortError). */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const sentToken = token.value;
  if (sentToken !== "") headers.set("Authorization", `Bearer ${sentToken}`);
  const init: RequestInit = {
    method: options.method ?? "GET",
    headers,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  };
  if (options.signal !== undefined) init.signal = options.signal;
  if (options.body instanceof FormData || options.body instanceof Blob) init.body = options.body;
  else if (options.body !== undefined) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    response = await fetch(path + queryOf(options.query), init);
  } catch (failure) {
    if (isAbort(failure)) throw failure;
    throw new ApiError(0, "network", "The service does not answer. Check that it runs, and try again.");
  }
  if (response.ok) return response;
  if (response.status === 401 && token.value === sentToken) {
    tokenRefused.value = sentToken === "" ? "missing" : "wrong";
  }
  throw await errorOf(response);
}

/** Sends a request and returns the JSON of the response. A job keeps its text, for shared/job_source.ts. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  return read<T>(await send(path, options));
}

/** Returns the JSON of a response. If it breaks off, that is thrown as an ApiError. */
export async function read<T>(response: Response): Promise<T> {
  let text: string;
  try {
    text = await response.text();
  } catch (failure) {
    if (isAbort(failure)) throw failure;
    throw new ApiError(0, "network", "The response of the service broke off. Try again.");
  }
  return parseResponse<T>(text);
}

function queryOf(query: RequestOptions["query"]): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== "") parameters.append(name, String(each));
    }
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

async function errorOf(response: Response): Promise<ApiError> {
  let body: ErrorBody | undefined;
  try {
    body = parseResponse<ErrorBody>(await response.text());
  } catch {
    // A proxy in between answers in a form of its own.
  }
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new ApiError(
    response.status,
    body?.code ?? "unknown",
    body?.error ?? `The service answered with status ${response.status}.`,
    body,
    Number.isFinite(seconds) ? seconds : undefined,
  );
}

/** Reports whether a job has ended. */
export function hasEnded({ status }: Pick<Job, "status">): boolean {
  return status !== "queued" && status !== "running";
}

/** The path of a job. */
export function jobPath(id: string): string {
  return `/jobs/${encodeURIComponent(id)}`;
}
