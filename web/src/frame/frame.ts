// Runs in frame.html, the sandboxed document in which HTML of a job is shown. The document's origin is opaque and its
// Content-Security-Policy forbids all scripts but this one. The page sends the HTML once, and the colour scheme; the
// frame sends its height. See web/src/job/html_frame.tsx.

// Elements of the HTML may have these names, and would then hide these properties of the document.
const { body, documentElement: root } = document;

/** What the policy or the sandbox would refuse, with an error for each; a <link> may also look up a host's name. */
const refused =
  "script, link, meta, base, iframe, frame, frameset, object, embed, applet, portal, fencedframe, template";

function show(html: string): void {
  const holder = document.createElement("template");
  holder.innerHTML = html; // inert: nothing in a template loads or runs
  for (const element of holder.content.querySelectorAll(refused)) element.remove();
  for (const element of holder.content.querySelectorAll("*")) removeHandlers(element);
  body.replaceChildren(holder.content);
  new ResizeObserver(() => requestAnimationFrame(report)).observe(body);
  report();
}

/** Removes handlers, which the policy refuses, with an error for each, and a request for the focus. */
function removeHandlers(element: Element): void {
  for (const name of Element.prototype.getAttributeNames.call(element)) {
    if (/^on|^autofocus$/i.test(name)) Element.prototype.removeAttribute.call(element, name);
  }
}

let reported = -1;

function report(): void {
  // An element's height may depend on the frame's, which follows what is reported: the page bounds it.
  const height = Math.ceil(root.scrollHeight);
  if (height === reported) return;
  reported = height;
  parent.postMessage({ height }, "*"); // the height is no secret
}

function receive(event: MessageEvent): void {
  if (event.source !== parent || typeof event.data !== "object" || event.data === null) return;
  const { html, scheme } = event.data;
  if (scheme === "light" || scheme === "dark") root.style.colorScheme = scheme;
  if (typeof html === "string" && reported < 0) show(html);
}

/** Keeps links and forms from leading the frame away. */
function refuse(event: Event): void {
  const link = event.target instanceof Element ? event.target.closest("a, area") : null;
  if (event.type === "submit" || (link !== null && !link.getAttribute("href")?.startsWith("#")))
    event.preventDefault();
}

if (parent !== window) {
  addEventListener("message", receive);
  for (const type of ["click", "auxclick", "submit"]) addEventListener(type, refuse, { capture: true });
  parent.postMessage({ ready: true }, "*");
}
