// Runs in frame.html, the sandboxed document in which HTML of a job is shown. The document's origin is opaque and its
// Content-Security-Policy forbids all scripts but this one. The page sends the HTML once; the frame sends its height.

function show(html: string): void {
  document.body.innerHTML = html;
  const report = () => {
    parent.postMessage({ height: document.documentElement.scrollHeight }, "*"); // the height is no secret
  };
  new ResizeObserver(report).observe(document.body);
  report();
}

function receive(event: MessageEvent): void {
  if (event.source !== parent || typeof event.data?.html !== "string") return;
  removeEventListener("message", receive);
  show(event.data.html);
}

addEventListener("message", receive);
parent.postMessage({ ready: true }, "*");
