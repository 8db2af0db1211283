import { useEffect, useRef, useState } from "preact/hooks";
import { bytes } from "../shared/format";
import { visibleText } from "../shared/text";
import { contentOf, type OutputFile, pictureURL, reasonOf, release, svg } from "./file_content";
import { useNear } from "./near";

/** Larger pictures are shown when asked for. */
const mostBytes = 4 << 20;

interface Properties {
  /** The picture's file; or its SVG. */
  source: OutputFile | string;
  type: string;
  /** What the picture is, for people who do not see it. */
  label: string;
}

/** Shows a picture of a job, once it is near. Scripts of an SVG do not run in <img>, and it loads nothing. */
export function Picture({ source, type, label }: Properties) {
  const box = useRef<HTMLDivElement>(null);
  const near = useNear(box);
  const size = typeof source === "string" ? source.length : source.size;
  const [asked, setAsked] = useState(size <= mostBytes);
  const { url, failure, refuse } = usePicture(source, type, near && asked);
  return (
    <div class="picture" ref={box}>
      {url !== undefined && failure === undefined && (
        <img
          src={url}
          alt={visibleText(label)}
          onError={() => refuse("This is no picture that the browser can show.")}
        />
      )}
      {failure !== undefined && <p class="cut">{failure}</p>}
      {!asked && (
        <button type="button" onClick={() => setAsked(true)}>
          Show the picture ({bytes(size)})
        </button>
      )}
    </div>
  );
}

/** Returns the URL of a picture, which is loaded when it is wanted, or why there is none. */
function usePicture(source: OutputFile | string, type: string, wanted: boolean) {
  const [url, setURL] = useState<string>();
  const [failure, refuse] = useState<string>();
  // A job is a new object after each request, and its files are the same.
  const current = useRef(source);
  current.current = source;
  const identity = typeof source === "string" ? source : source.url;
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    if (!wanted) return;
    const abort = new AbortController();
    let made: string | undefined;
    const load = async () => {
      const file = current.current;
      const content = typeof file === "string" ? new Blob([file]) : await contentOf(file, abort.signal);
      made = await pictureURL(content, typeof file === "string" ? svg : type);
      if (abort.signal.aborted) release(made);
      else setURL(made);
    };
    load().catch((reason) => {
      if (!abort.signal.aborted) refuse(reasonOf(reason));
    });
    return () => {
      abort.abort();
      if (made !== undefined) release(made);
      setURL(undefined);
      refuse(undefined);
    };
  }, [identity, type, wanted]);
  return { url, failure, refuse };
}
