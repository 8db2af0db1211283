import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { theme } from "../shared/theme";

/** The height of a frame, in CSS pixels, unless its content is lower. What is higher scrolls. */
const most = 480;
const mostWhole = 20_000;

/** Shows HTML of a job in a sandboxed frame. Its scripts do not run, and it loads nothing. */
export function HTMLFrame({ html, label }: { html: string; label: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const [content, setContent] = useState(0);
  const [whole, setWhole] = useState(false);
  useFrame(frame, html, setContent);
  const height = Math.max(24, Math.min(content, whole ? mostWhole : most));
  return (
    <>
      <iframe
        ref={frame}
        class="html"
        title={`${label}, HTML`}
        sandbox="allow-scripts"
        referrerpolicy="no-referrer"
        src="/ui/frame.html"
        style={{ height: `${height}px` }}
      />
      <p class="quiet foot">
        {content > most && (
          <button type="button" class="small" aria-expanded={whole} onClick={() => setWhole(!whole)}>
            {whole ? "Less" : "Whole height"}
          </button>
        )}
        {/<script/i.test(html) && "Scripts of this HTML do not run here."}
      </p>
    </>
  );
}

/** Sends the HTML to a frame that is ready, and the theme, also when it changes; receives the height of the content. */
function useFrame(
  frame: { current: HTMLIFrameElement | null },
  html: string,
  setContent: (height: number) => void,
): void {
  const chosen = theme.value;
  const ready = useRef(false);
  // Before the frame can be ready; effects of the other kind run later.
  useLayoutEffect(() => {
    ready.current = false;
    const receive = (event: MessageEvent) => {
      // The frame's origin is opaque, so only its window identifies it.
      if (frame.current === null || event.source !== frame.current.contentWindow) return;
      const message: unknown = event.data;
      if (typeof message !== "object" || message === null) return;
      if ("ready" in message) {
        ready.current = true;
        post(frame.current, { html, scheme: scheme() });
      }
      if ("height" in message && typeof message.height === "number" && Number.isFinite(message.height)) {
        setContent(Math.max(0, Math.min(message.height, mostWhole)));
      }
    };
    addEventListener("message", receive);
    return () => removeEventListener("message", receive);
  }, [frame, html, setContent]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme follows from the chosen theme
  useEffect(() => {
    const send = () => {
      if (ready.current && frame.current !== null) post(frame.current, { scheme: scheme() });
    };
    send();
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", send);
    return () => system.removeEventListener("change", send);
  }, [chosen, frame]);
}

function post(frame: HTMLIFrameElement, message: { html?: string; scheme: string }): void {
  frame.contentWindow?.postMessage(message, "*"); // an opaque origin has no name
}

/** Returns "light" or "dark", as base.css has it. */
function scheme(): string {
  return getComputedStyle(document.documentElement).colorScheme === "dark" ? "dark" : "light";
}
