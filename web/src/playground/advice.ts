// What to do about a request that was refused.
import type { ApiError } from "../shared/api";

const advice: Record<string, string> = {
  network: "Check that the service runs and that this machine is connected. Then run again.",
  unauthorized: "Put a valid token into the field at the top. The script runs then.",
  forbidden: "Use the token of a key that may submit jobs.",
  invalid_request: "Change what the sentence names, in the script or under Options.",
  unknown_environment: "Choose another environment under Options.",
  missing_packages: "Change the script’s inline metadata, or choose an environment under Options.",
  script_too_large: "Shorten the script, or move data into a file.",
  input_too_large: "Make the input smaller that the sentence names, or send it as a file.",
  not_found: "The job is gone: results are kept for a limited time. Run again.",
  unavailable: "The service cannot take jobs now.",
  queue_full: "Too many jobs wait.",
};

/** Returns the next step after an error, as sentences. */
export function adviceFor(error: ApiError): string {
  const sentences = [advice[error.code] ?? ""];
  if (error.retryAfter !== undefined) sentences.push(`Run again in ${duration(error.retryAfter)}.`);
  else if (error.status === 429 || error.status >= 500) sentences.push("Run again in a moment.");
  return sentences.filter((each) => each !== "").join(" ");
}

function duration(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds / 3600)} hours`;
}
