import { visible } from "./text";

/** Shows text of a job as data: no character of it changes how the page is read or where it is shown. */
export function Data({ text }: { text: string }) {
  return (
    <bdi class="data" dir="ltr">
      {visible(text).map((part, index) =>
        part.name === undefined ? (
          part.text
        ) : (
          <span key={index} class="symbol" title={part.name}>
            {part.short}
          </span>
        ),
      )}
    </bdi>
  );
}
